import NIOCore
import NIOPosix

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// One connection to a `logqd`, for any number of tasks.
///
/// ```swift
/// let client = try await LogQClient.connect(host: "127.0.0.1", port: 5647)
/// try await client.create("items", dimension: 64, metric: .cosine)
/// try await client.put("items", "sku-1", vector)
/// for hit in try await client.topK("items", 10, nearest: .vector(query)) { print(hit.id, hit.score) }
/// await client.close()
/// ```
///
/// **Order.** Requests are sent in the order in which they are submitted and answered in that order. Tasks need not wait
/// for each other: what several tasks ask at the same time travels together (pipelining). A write that has returned is on
/// disk and visible to everybody.
///
/// **Bounds.** What is under way is bounded in requests and bytes (``Configuration``). Past a bound a request waits its
/// turn, and so does the task that asked: that is all the back-pressure there is, and all that is needed.
///
/// **Errors.** Every method throws ``LogQError`` only. When the connection is lost, everything that waits fails with
/// ``LogQError/Code-swift.enum/connectionLost`` and says whether it may have been applied. A client does not reconnect, because it can not
/// know whether a write should be repeated: connect anew.
///
/// **Cancellation.** A cancelled task stops waiting at once. A request that is still queued is then never sent; one that
/// was sent may be applied.
public final class LogQClient: Sendable {
    /// Bounds and patience of a client.
    public struct Configuration: Sendable {
        /// How long a connection may take, the greeting included.
        public var connectTimeout: Duration = .seconds(10)
        /// The most requests that are sent and not yet answered.
        public var requestsUnderWayMax = 65_536
        /// The most bytes of requests that are sent and not yet answered. A single larger request is sent alone.
        public var bytesUnderWayMax = 16 << 20
        /// The longest reply that is accepted. The daemon's own limit is 64 MiB unless changed by `--max-reply-bytes`.
        public var replyByteCountMax = 65 << 20

        public init() {}
    }

    let outbox: Outbox
    private let channel: any Channel
    private let handler: NIOLoopBound<ClientHandler>

    private init(channel: any Channel, outbox: Outbox, handler: NIOLoopBound<ClientHandler>) {
        self.channel = channel
        self.outbox = outbox
        self.handler = handler
    }

    deinit {
        channel.close(promise: nil)
    }

    /// Connects over TCP and greets the daemon (`HELLO 1 vectors=f32`: vectors come back as bytes, not as text).
    ///
    /// - Throws: ``LogQError/Code-swift.enum/connectFailed`` when nobody answers in time or the answer is no `logqd`; what the daemon says if
    ///   it turns the connection away.
    public static func connect(
        host: String = "127.0.0.1",
        port: Int = 5647,
        configuration: Configuration = Configuration()
    ) async throws(LogQError) -> LogQClient {
        let peer = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        guard (1...65_535).contains(port) else {
            throw LogQError(.connectFailed, "could not connect to \(peer): expected a port from 1 to 65535")
        }
        return try await connect(to: peer, configuration) { $0.connect(host: host, port: port) }
    }

    /// Connects over a Unix-domain socket: the same, without the cost of TCP. For a trainer beside its daemon.
    ///
    /// - Throws: as ``connect(host:port:configuration:)``.
    public static func connect(
        unixSocketPath path: String,
        configuration: Configuration = Configuration()
    ) async throws(LogQError) -> LogQClient {
        try await connect(to: path, configuration) { $0.connect(unixDomainSocketPath: path) }
    }

    private static func connect(
        to peer: String,
        _ configuration: Configuration,
        _ start: (ClientBootstrap) -> EventLoopFuture<any Channel>
    ) async throws(LogQError) -> LogQClient {
        let timeout = TimeAmount(configuration.connectTimeout)
        let outbox = Outbox(
            requestsMax: configuration.requestsUnderWayMax,
            bytesMax: configuration.bytesUnderWayMax
        )
        let replyByteCountMax = configuration.replyByteCountMax
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connectTimeout(timeout)
            .channelOption(.socketOption(.so_keepalive), value: 1)
            .channelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(minimum: 4 << 10, initial: 16 << 10, maximum: 256 << 10)
            )
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        ClientHandler(outbox: outbox, peer: peer, replyByteCountMax: replyByteCountMax)
                    )
                }
            }
        let client: LogQClient
        do {
            let channel = try await start(bootstrap).get()
            let handler = try await channel.eventLoop.submit {
                let handler = try channel.pipeline.syncOperations.handler(type: ClientHandler.self)
                return NIOLoopBound(handler, eventLoop: channel.eventLoop)
            }.get()
            client = LogQClient(channel: channel, outbox: outbox, handler: handler)
        } catch {
            throw LogQError(.connectFailed, "could not connect to \(peer): \(describe(error))")
        }
        try await client.greet(peer: peer, within: timeout)
        return client
    }

    private func greet(peer: String, within timeout: TimeAmount) async throws(LogQError) {
        let handler = handler
        let alarm = channel.eventLoop.scheduleTask(in: timeout) {
            handler.value.abort(Loss(code: .connectFailed, reason: "\(peer) did not answer HELLO in time"))
        }
        defer { alarm.cancel() }
        do throws(LogQError) {
            _ = try await hello()
        } catch {
            channel.close(promise: nil)
            guard [.connectionLost, .badReply].contains(error.code) else { throw error }
            throw LogQError(.connectFailed, error.message, request: error.request)
        }
    }

    /// Sends the lines of one exchange. The outcome is had from the exchange. A task that is cancelled sends nothing.
    func submit(_ lines: ByteBuffer, requestCount: Int) -> Exchange {
        let exchange = Exchange(requestCount: requestCount, byteCount: lines.readableBytes)
        if Task.isCancelled {
            exchange.cancel()
        } else if outbox.submit(Outbox.Submission(lines: lines, exchange: exchange)) {
            let handler = handler
            channel.eventLoop.execute { handler.value.drain() }
        }
        return exchange
    }

    /// Refuses new requests, waits for the replies of those that were submitted, then closes the connection.
    ///
    /// Cancel the task to close at once: what waits then fails as if the connection were lost. Safe to call more than
    /// once. A client that is simply let go closes its connection as well.
    public func close() async {
        outbox.seal(.closed)
        let handler = handler
        channel.eventLoop.execute { handler.value.closeIfDone() }
        await withTaskCancellationHandler {
            try? await channel.closeFuture.get()
        } onCancel: {
            channel.close(promise: nil)
        }
    }

    /// Sends `QUIT` and waits until the daemon has answered everything and closed the connection.
    public func quit() async throws(LogQError) {
        try await send(.quit())
        await close()
    }
}

/// An error of the socket in a few words: "connection refused".
func describe(_ error: any Error) -> String {
    switch error {
    case let error as IOError:
        return String(cString: strerror(error.errnoCode)).lowercased()
    case let error as NIOConnectionError:
        if let first = error.connectionErrors.first { return describe(first.error) }
        let failure: (any Error)? = error.dnsAError ?? error.dnsAAAAError
        return failure == nil ? "no address for '\(error.host)'" : "could not resolve '\(error.host)'"
    case ChannelError.connectTimeout:
        return "no answer in time"
    default:
        return "\(error)"
    }
}
