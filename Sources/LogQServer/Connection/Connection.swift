import DequeModule
import ItemStore
import NIOCore
import Synchronization
import WireProtocol

/// One connection, on its event loop. The event loop itself answers point lookups, without a hop to another thread.
///
/// `ConnectionState` decides which request may start and when the connection ends, and this class acts on its
/// decisions. A burst of bytes is handled in three steps:
///
/// 1. `channelRead` splits the bytes into requests and parses them (`takeRequests`). Short lookups are answered at
///    once, writes are gathered, and queries go to the query pool.
/// 2. At the end of the burst, the gathered writes go to the store as one batch. All replies that may be sent leave in
///    one flush (`endBurst`).
/// 3. Outcomes come back from the store's thread once for each batch, and from the pool once for each query. Then held
///    requests continue.
///
/// Nothing here blocks or grows without bound. A turn of the event loop does a bounded amount of work and then yields.
/// At a bound, the connection stops reading its socket.
final class Connection: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// A finished answer, which waits until all earlier answers are sent.
    enum Answer {
        case done
        /// `verb` is the index of the verb that failed, or nil if the request has no known verb.
        case failure(WireError, verb: Int?)
        case bytes(ByteBuffer)
    }

    typealias Place = ConnectionState<Answer>.Place
    private typealias Ending = ConnectionState<Answer>.Ending

    let services: Services
    // These properties change with every request. Checks at run time that no two accesses overlap took a twentieth of
    // the time of a GET. They can't overlap: all accesses are on the event loop, and `process` does not nest.
    @exclusivity(unchecked) var state: ConnectionState<Answer>
    @exclusivity(unchecked) var session: Session
    @exclusivity(unchecked) var framer: RequestFramer
    /// Replies that the next flush sends.
    @exclusivity(unchecked) var output = ByteBuffer()
    /// The memory of the last request, for the next one.
    @exclusivity(unchecked) var parsed = Request()
    /// The time of the last look at the clock, for the log of slow requests. One look for each request is enough.
    @exclusivity(unchecked) var lastClock = NIODeadline.now()
    @exclusivity(unchecked) var counts = RequestCounts()
    var held: HeldRequest?
    var gathered = GatheredWrites()
    var lookups = Deque<LookupUnderWay>()
    var drain: Drain?
    let liveness = Liveness()
    /// The part of `ConnectionMemory` that this connection holds.
    var countedByteCount = 0
    /// Bytes that wait for the socket, as of the last count.
    var unsentByteCount = 0
    /// Bytes that were flushed since the last count.
    var flushedByteCount = 0
    var isAwaitingSent = false
    /// The error that this connection gets instead of service, because the server has too many connections.
    private let refusal: WireError?

    private(set) var context: ChannelHandlerContext?
    private var isProcessing = false
    private var mustProcessAgain = false

    /// Whether the connection still exists. The query pool reads it from its threads.
    final class Liveness: Sendable {
        let isGone = Atomic<Bool>(false)
    }

    init(services: Services, refusal: WireError? = nil, bounds: ConnectionState<Answer>.Bounds = .init()) {
        self.services = services
        self.refusal = refusal
        state = ConnectionState(bounds: bounds)
        session = Session(
            dialect: services.lines,
            replies: LineReplyWriter(replyBytesMax: services.limits.replyBytesMax),
            number: services.nextConnectionNumber()
        )
        framer = RequestFramer(lineBytesMax: services.limits.lineBytesMax)
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
        state.input.received(bytes.readableBytes)
        if state.input.isDiscarding {
            if !state.input.discard(bytes.readableBytes) { context.close(promise: nil) }
            return
        }
        guard state.ending == nil else { return }
        let isFirst = framer.framing == nil
        framer.append(bytes)
        if isFirst, framer.framing == .resp { speakRESP() }
        process(endsBurst: false)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        process()
    }

    /// The channel asks for a read after every burst. At a bound the read is withheld, so that further bytes stay in
    /// the buffers of the sockets.
    func read(context: ChannelHandlerContext) {
        if state.input.mayRead(wantsBytes: wantsBytes) { context.read() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        state.writabilityChanged(to: context.channel.isWritable)
        process()
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed:
            state.input.isClosed = true
            if state.input.isDiscarding {
                context.close(promise: nil)
            } else {
                process()
            }
        case let event as DrainEvent:
            beginDraining(event)
        default:
            context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // The peer is gone or the socket failed, so no reply can be sent.
        context.close(promise: nil)
    }

    private func speakRESP() {
        session.dialect = services.resp
        session.replies = RESPReplyWriter(replyBytesMax: services.limits.replyBytesMax)
    }

    /// Sends the refusal, if there is one. It is not counted, because it belongs to no request.
    private func refuseIfFull() {
        guard let refusal, state.ending == nil else { return }
        session.replies.write(refusal, into: &output)
        state.end(.shutAndDiscard)
        process()
    }

    private func close() {
        liveness.isGone.store(true, ordering: .relaxed)
        state.closed()
        held = nil
        lookups.removeAll()
        gathered = GatheredWrites()
        count(0)
    }

    // MARK: - Bursts

    /// Starts every request that may start. At the end of a burst, sends every reply that may be sent.
    ///
    /// May be called at any time on the event loop. A flush may call it again before it has returned; the inner call
    /// only requests a repetition.
    func process(endsBurst: Bool = true) {
        guard !isProcessing else {
            mustProcessAgain = true
            return
        }
        isProcessing = true
        takeRequests()
        if endsBurst { endBurst() }
        while mustProcessAgain {
            mustProcessAgain = false
            takeRequests()
            endBurst()
        }
        isProcessing = false
    }

    private func endBurst() {
        submitGathered()
        let wasAtABound = !mayTakeRequest
        emitAnswers()
        flush()
        countMemory()
        // Sending replies made room. Repeat now: no further event may come for the requests that have already arrived.
        if wasAtABound, mayTakeRequest { mustProcessAgain = true }
        counts.move(to: services.metrics)
        if state.input.isClosed, isInputUsedUp { state.end(.close) }
        if let ending = state.takeClosing() { end(ending) }
        readIfWithheld()
    }

    /// Whether the connection can do nothing more until bytes or outcomes arrive.
    var isInputUsedUp: Bool {
        held == nil && lookups.isEmpty && !state.input.isPutOff && framer.isWaitingForBytes
    }

    private var wantsBytes: Bool { state.wantsBytes(mayTakeRequest: mayTakeRequest, isInputUsedUp: isInputUsedUp) }

    private func readIfWithheld() {
        if state.input.takeWithheldRead(wantsBytes: wantsBytes) { context?.read() }
    }

    /// Continues in a later turn, so that other connections get their turns first.
    func continueLater() {
        guard !state.input.isPutOff, let context else { return }
        state.input.isPutOff = true
        services.turns(on: context.eventLoop).add(self)
    }

    func takeTurn() {
        state.input.isPutOff = false
        process()
    }

    // MARK: - The end

    private func end(_ ending: Ending) {
        guard let context else { return }
        // The promise of an empty write succeeds once all earlier writes are done.
        let flushed = context.eventLoop.makePromise(of: Void.self)
        let connection = NIOLoopBound(self, eventLoop: context.eventLoop)
        let mode = state.input.isClosed ? Ending.close : ending
        flushed.futureResult.whenComplete { _ in connection.value.endAfterFlush(mode) }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: flushed)
    }

    private func endAfterFlush(_ ending: Ending) {
        guard let context else { return }
        guard ending == .shutAndDiscard, !state.input.isClosed else { return context.close(promise: nil) }
        state.input.beginDiscarding()
        context.close(mode: .output, promise: nil)
        let connection = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: .milliseconds(drain == nil ? 2_000 : 200)) {
            connection.value.context?.close(promise: nil)
        }
        readIfWithheld()
    }
}
