import NIOCore

/// The only handler of a client's channel. It writes the submissions of the outbox, splits received bytes into replies,
/// and completes exchanges.
///
/// ``ConnectionState`` makes all decisions, and this handler applies them to the channel. It does not decode the rows
/// of replies. The tasks that wait for the replies decode them on their own threads, so one event loop can serve many.
final class ClientHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Small submissions are joined into buffers of about this size. A larger submission is written without a copy.
    private static let joinedBytesMax = 64 << 10

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

    /// Writes every submission that is ready, and flushes once.
    func drain() {
        var joined = ByteBuffer()
        var hasWritten = false
        while true {
            let ready = outbox.takeReady()
            if ready.isEmpty { break }
            for submission in ready where isAccepted(submission) {
                hasWritten = true
                var lines = submission.lines
                if lines.readableBytes >= ClientHandler.joinedBytesMax {
                    write(&joined)
                    write(&lines)
                } else {
                    joined.writeBuffer(&lines)
                    if joined.readableBytes >= ClientHandler.joinedBytesMax { write(&joined) }
                }
            }
        }
        guard hasWritten else { return }
        write(&joined)
        context?.flush()
    }

    /// Adds the submission to those that await replies. Returns false if it must not be sent.
    private func isAccepted(_ submission: Outbox.Submission) -> Bool {
        let exchange = submission.exchange
        // Check first whether the connection has ended: a submission that is marked as sent counts as possibly applied.
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

    /// Closes the channel if the outbox is sealed and no reply is outstanding.
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

    /// Fails every waiting exchange, and closes the channel.
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
