import NIOCore
import NIOPosix

/// Stops accepting connections for a second after one could not be accepted, for example for want of descriptors.
///
/// The connection stays in the system's queue, so the listener stays readable. The event loop would try again at once,
/// and use a whole core until a descriptor is free.
final class AcceptPause: ChannelInboundHandler {
    typealias InboundIn = any Channel

    private static let length = TimeAmount.seconds(1)

    private let noteFailure: (IOError) -> Void

    init(_ noteFailure: @escaping (IOError) -> Void) {
        self.noteFailure = noteFailure
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? IOError else { return context.fireErrorCaught(error) }
        noteFailure(error)
        let channel = context.channel
        // A listener that is being closed accepts nothing anyway.
        try? channel.syncOptions?.setOption(.autoRead, value: false)
        context.eventLoop.assumeIsolated().scheduleTask(in: Self.length) {
            try? channel.syncOptions?.setOption(.autoRead, value: true)
        }
    }
}
