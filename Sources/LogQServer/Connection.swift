import DequeModule
import ItemStore
import NIOCore
import Synchronization
import WireProtocol

/// One connection, on its event loop: bytes in, bytes out, no hop on the way of a point lookup.
///
/// `ConnectionState` decides what may start and when the connection ends; this class does what it says. The life of a
/// burst of bytes:
///
/// 1. `channelRead` cuts lines and parses them (`takeRequests`). Lookups are answered on the spot, writes are gathered,
///    searches go to the query pool.
/// 2. At the end of the burst the gathered writes go to the store as one batch, and all answers that may leave do so in
///    one buffer with one flush (`endBurst`).
/// 3. Outcomes come back from the writer thread once a batch, from the pool once a search, and let held requests go on.
///
/// Nothing here blocks or grows without bound: a turn of the event loop does a bounded amount of work and then yields,
/// and while a bound is reached the socket is not read.
final class Connection: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// An answer as it waits for its turn.
    enum Answer {
        case done
        case failure(WireError)
        case bytes(ByteBuffer)
    }

    let services: Services
    var state: ConnectionState<Answer>
    var session: Session
    var framer: LineFramer
    /// Answers that leave with the next flush.
    var output = ByteBuffer()
    var held: HeldRequest?
    var gathered = GatheredWrites()
    var lookups = Deque<LookupUnderWay>()
    /// Set when the connection is gone: searches that still wait need not run.
    let life = Life()
    /// Set instead of serving: the server has too many connections.
    private let refusal: WireError?

    private(set) var context: ChannelHandlerContext?
    private var isContinuationScheduled = false
    private var isPumping = false
    private var pumpsAgain = false
    private var isReadWithheld = false
    private var isInputClosed = false
    private var discarding: Discarding?
    /// Bytes received, and bytes of the lines taken.
    private(set) var receivedByteCount = 0
    var consumedByteCount = 0
    var drain: Drain?
    var requestCount = 0
    var errorCount = 0

    /// Shared with the jobs of the query pool.
    final class Life: Sendable {
        let isGone = Atomic<Bool>(false)
    }

    private struct Discarding {
        var byteCountLeft = 16 << 20
    }

    init(services: Services, refusal: WireError? = nil, bounds: ConnectionState<Answer>.Bounds = .init()) {
        self.services = services
        self.refusal = refusal
        state = ConnectionState(bounds: bounds)
        session = Session(writer: ReplyWriter(replyBytesMax: services.limits.replyBytesMax))
        framer = LineFramer(lineBytesMax: services.limits.lineBytesMax)
    }

    // MARK: - Events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { refuseIfFull() }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        close()
        self.context = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        refuseIfFull()
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        close()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        receivedByteCount += bytes.readableBytes
        guard discarding == nil else { return discard(bytes.readableBytes) }
        guard state.ending == nil else { return }
        framer.append(bytes)
        pump(endsBurst: false)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        pump()
    }

    /// Reading is asked for after every burst. While a bound is reached, the request is withheld: then the client's
    /// bytes stay in its own buffers.
    func read(context: ChannelHandlerContext) {
        if wantsBytes {
            context.read()
        } else {
            isReadWithheld = true
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        state.writabilityChanged(to: context.channel.isWritable)
        pump()
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed:
            isInputClosed = true
            if discarding != nil {
                context.close(promise: nil)
            } else {
                pump()
            }
        case let event as DrainEvent:
            beginDraining(event)
        default:
            context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // The peer is gone, or the system refuses: there is nobody to tell.
        context.close(promise: nil)
    }

    private func refuseIfFull() {
        guard let refusal, state.ending == nil else { return }
        answer(.failure(refusal))
        state.end(.shutAndDiscard)
        pump()
    }

    private func close() {
        life.isGone.store(true, ordering: .relaxed)
        state.closed()
        held = nil
        lookups.removeAll()
        gathered = GatheredWrites()
    }

    // MARK: - Bursts

    /// Takes what may be taken and, at the end of a burst, lets leave what may leave. Safe to call at any time on the
    /// event loop: a flush in the middle may set off a call, which then waits for its turn.
    func pump(endsBurst: Bool = true) {
        guard !isPumping else {
            pumpsAgain = true
            return
        }
        isPumping = true
        takeRequests()
        if endsBurst { endBurst() }
        while pumpsAgain {
            pumpsAgain = false
            takeRequests()
            endBurst()
        }
        isPumping = false
    }

    private func endBurst() {
        submitGathered()
        let wasAtABound = !state.mayTakeRequest
        emitAnswers()
        flush()
        // What leaves makes room, and nothing else may come that would set off the requests that have arrived already.
        if wasAtABound, state.mayTakeRequest { pumpsAgain = true }
        countRequests()
        if isInputClosed, isInputUsedUp { state.end(.close) }
        if let ending = state.takeClosing() { end(ending) }
        if isReadWithheld, wantsBytes {
            isReadWithheld = false
            context?.read()
        }
    }

    /// Whether nothing of the input is left to be done.
    var isInputUsedUp: Bool {
        held == nil && lookups.isEmpty && !isContinuationScheduled && framer.isWaitingForBytes
    }

    /// Moves the answers that may leave into the output.
    func emitAnswers() {
        while let answer = state.nextAnswer() {
            switch answer {
            case .done: output.writeStaticString("OK 0\n")
            case .failure(let error): session.writer.write(error, into: &output)
            case .bytes(var bytes):
                if output.readableBytes == 0 {
                    output = bytes
                } else {
                    output.writeBuffer(&bytes)
                }
            }
            // A long answer leaves at once: its memory goes with it.
            if output.readableBytes > 1 << 18 { flush() }
        }
    }

    func flush() {
        guard output.readableBytes > 0, let context else { return }
        let bytes = output
        output = ByteBuffer()
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
    }

    private var wantsBytes: Bool {
        discarding != nil
            || (state.mayTakeRequest && held == nil && lookups.isEmpty && !isContinuationScheduled
                && framer.isWaitingForBytes)
    }

    private func countRequests() {
        guard requestCount > 0 || errorCount > 0 else { return }
        services.metrics.requestCount.wrappingAdd(requestCount, ordering: .relaxed)
        services.metrics.errorCount.wrappingAdd(errorCount, ordering: .relaxed)
        requestCount = 0
        errorCount = 0
    }

    /// Lets other connections have their turn, then goes on.
    func continueLater() {
        guard !isContinuationScheduled, let context else { return }
        isContinuationScheduled = true
        services.turns(on: context.eventLoop).add(self)
    }

    func takeTurn() {
        isContinuationScheduled = false
        pump()
    }

    /// Whether work was put off: nothing may be taken meanwhile, or it would not yield.
    var isPutOff: Bool { isContinuationScheduled }

    // MARK: - The end

    private func end(_ ending: ConnectionState<Answer>.Ending) {
        guard let context else { return }
        // An empty write is done when all before it are.
        let flushed = context.eventLoop.makePromise(of: Void.self)
        let connection = NIOLoopBound(self, eventLoop: context.eventLoop)
        let mode = isInputClosed ? Ending.close : ending
        flushed.futureResult.whenComplete { _ in connection.value.endAfterFlush(mode) }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: flushed)
    }

    private typealias Ending = ConnectionState<Answer>.Ending

    private func endAfterFlush(_ ending: Ending) {
        guard let context else { return }
        guard ending == .shutAndDiscard, !isInputClosed else { return context.close(promise: nil) }
        discarding = Discarding()
        context.close(mode: .output, promise: nil)
        let connection = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: .milliseconds(drain == nil ? 2_000 : 200)) {
            connection.value.context?.close(promise: nil)
        }
        if isReadWithheld {
            isReadWithheld = false
            context.read()
        }
    }

    private func discard(_ byteCount: Int) {
        guard discarding != nil else { return }
        discarding!.byteCountLeft -= byteCount
        if discarding!.byteCountLeft < 0 { context?.close(promise: nil) }
    }
}
