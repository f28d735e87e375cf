import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// A real socket in place of the daemon. A script decides the reply to every line that arrives.
final class ScriptedServer: Sendable {
    enum Answer {
        /// Sends this text.
        case text(String)
        /// Sends nothing.
        case silence
        /// Sends this text, then closes.
        case last(String)
    }

    /// Answers HELLO like a daemon, and everything else with `OK 0`.
    static func polite(_ line: String) -> Answer {
        line.hasPrefix("HELLO") ? .text("OK 2\nserver logqd\nversion 1.2.3\n") : .text("OK 0\n")
    }

    private let channel: any Channel
    private let seen = NIOLockedValueBox<[String]>([])
    private let children = NIOLockedValueBox<[any Channel]>([])

    /// All lines so far.
    var lines: [String] { seen.withLockedValue { $0 } }

    /// All lines except the greeting.
    var requests: [String] { lines.filter { !$0.hasPrefix("HELLO") } }

    var port: Int { channel.localAddress!.port! }

    /// With `dripping`, replies are sent one byte at a time, each in its own write.
    init(
        unixSocketPath: String? = nil,
        dripping: Bool = false,
        _ script: @escaping @Sendable (String) -> Answer = ScriptedServer.polite
    ) async throws {
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { [seen, children] channel in
                channel.eventLoop.makeCompletedFuture {
                    children.withLockedValue { $0.append(channel) }
                    try channel.pipeline.syncOperations.addHandler(
                        ScriptHandler(dripping: dripping) { line in
                            // A line counts as seen once its answer is decided, and before the answer is sent.
                            let answer = script(line)
                            seen.withLockedValue { $0.append(line) }
                            return answer
                        }
                    )
                }
            }
        if let unixSocketPath {
            channel = try await bootstrap.bind(unixDomainSocketPath: unixSocketPath).get()
        } else {
            channel = try await bootstrap.bind(host: "127.0.0.1", port: 0).get()
        }
    }

    /// Sends unrequested text on every connection. When it returns, the text is on its way, before any later answer.
    func say(_ text: String) async throws {
        for child in children.withLockedValue({ $0 }) {
            try await child.writeAndFlush(ByteBuffer(string: text))
        }
    }

    /// Whether all connections so far are closed.
    var isDeserted: Bool {
        children.withLockedValue { $0.allSatisfy { !$0.isActive } }
    }

    func hangUp() {
        for child in children.withLockedValue({ $0 }) { child.close(promise: nil) }
    }

    func stop() async {
        hangUp()
        try? await channel.close()
    }
}

private final class ScriptHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let script: (String) -> ScriptedServer.Answer
    private let dripping: Bool
    private var held = ByteBuffer()

    init(dripping: Bool, _ script: @escaping (String) -> ScriptedServer.Answer) {
        self.dripping = dripping
        self.script = script
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        held.writeBuffer(&bytes)
        while let end = held.readableBytesView.firstIndex(of: 0x0A) {
            let line = held.readString(length: end - held.readerIndex)!
            held.moveReaderIndex(forwardBy: 1)
            switch script(line) {
            case .silence: break
            case .text(let text): send(text, context)
            case .last(let text):
                send(text, context)
                context.close(promise: nil)
            }
        }
    }

    private func send(_ text: String, _ context: ChannelHandlerContext) {
        guard dripping else {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
            return
        }
        for byte in text.utf8 {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: [byte])), promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}

/// Waits until `condition` holds, for at most ten seconds.
func eventually(_ condition: () -> Bool) async -> Bool {
    let deadline = ContinuousClock.now + .seconds(10)
    while !condition() {
        if ContinuousClock.now > deadline { return false }
        await Task.yield()
    }
    return true
}
