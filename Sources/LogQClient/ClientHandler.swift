import NIOCore

/// The one handler of a client's channel: writes what the outbox holds, cuts what arrives into replies, completes exchanges.
///
/// Everything that decides is in ``ConnectionState``; here its actions meet the channel. Nothing is decoded here either:
/// an event loop that only counts line ends keeps up with many tasks that decode on their own threads.
final class ClientHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Small submissions are glued together up to this size; larger ones go to the socket as they are, uncopied.
    private static let glueByteCountMax = 64 << 10

    private let outbox: Outbox
    private let peer: String
    private var state: ConnectionState<Exchange>
    private var context: ChannelHandlerContext?
    private var error: (any Error)?

    init(outbox: Outbox, peer: String, replyByteCountMax: Int) {
        self.outbox = outbox
        self.peer = peer
        state = ConnectionState(replyByteCountMax: replyByteCountMax)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    /// Writes everything that is ready, in one go.
    func drain() {
        var glued = ByteBuffer()
        var hasWritten = false
        while true {
            let ready = outbox.takeReady()
            if ready.isEmpty { break }
            for submission in ready where isAccepted(submission) {
                hasWritten = true
                var lines = submission.lines
                if lines.readableBytes >= ClientHandler.glueByteCountMax {
                    write(&glued)
                    write(&lines)
                } else {
                    glued.writeBuffer(&lines)
                    if glued.readableBytes >= ClientHandler.glueByteCountMax { write(&glued) }
                }
            }
        }
        guard hasWritten else { return }
        write(&glued)
        context?.flush()
    }

    /// Enters the submission among what awaits replies; false if it is not to be sent.
    private func isAccepted(_ submission: Outbox.Submission) -> Bool {
        let exchange = submission.exchange
        // What is marked as sent may have been applied, so a connection that has ended must be known before.
        if let loss = state.loss {
            exchange.complete([], loss: loss)
        } else if exchange.markSent() {
            state.sent(exchange, requestCount: exchange.requestCount)
            return true
        }
        outbox.release(exchange)
        return false
    }

    private func write(_ buffer: inout ByteBuffer) {
        guard buffer.readableBytes > 0 else { return }
        context?.write(wrapOutboundOut(buffer), promise: nil)
        buffer = ByteBuffer()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        state.received(unwrapInboundIn(data))
        while true {
            switch state.nextAction() {
            case .complete(let exchange, let replies):
                outbox.release(exchange)
                exchange.complete(replies)
            case .fail(let loss):
                end(loss)
                context.close(promise: nil)
                return
            case .needMoreBytes:
                return
            }
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        drain()
        closeIfDone()
        context.fireChannelReadComplete()
    }

    /// After the last reply that a sealed outbox waits for.
    func closeIfDone() {
        if outbox.isDone { context?.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.error = error
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        let reason = error.map { describe($0) } ?? "the server closed it"
        end(Loss(code: .connectionLost, reason: "lost the connection to \(peer): \(reason)"))
        context.fireChannelInactive()
    }

    /// Fails everything that waits, and closes.
    func abort(_ loss: Loss) {
        end(loss)
        context?.close(promise: nil)
    }

    private func end(_ loss: Loss) {
        for entry in state.connectionEnded(loss) {
            entry.exchange.complete(entry.replies, loss: loss)
        }
        outbox.fail(loss)
    }
}
