import NIOCore
import NIOPosix
import SystemSupport

/// One connection to a `logqd`, which any number of tasks can share.
///
/// ```swift
/// let client = try await LogQClient.connect(host: "127.0.0.1", port: 5647)
/// try await client.create("items", dimension: 64, metric: .cosine)
/// try await client.put("items", "sku-1", vector)
/// for hit in try await client.topK("items", 10, nearest: .vector(query)) { print(hit.id, hit.score) }
/// await client.close()
/// ```
///
/// **Order.** Requests are sent and answered in the order of their submission. Tasks need not wait for each other:
/// concurrent requests of several tasks are sent together (pipelining). When a write returns, it is on disk and every
/// client sees it.
///
/// **Bounds.** The requests in flight are bounded in number and in bytes (``Configuration``). At a bound, a request
/// waits its turn, and so does the task that submitted it. This is the only back-pressure.
///
/// **Errors.** Every method throws only ``LogQError``. When the connection is lost, every outstanding request fails
/// with ``LogQError/Code-swift.enum/connectionLost``. The error says whether the request may have been applied. A
/// client does not reconnect, because it cannot know whether to repeat a write. Create a new client instead.
///
/// **Cancellation.** A cancelled task stops waiting at once. A request that is still queued is then never sent. One
/// that was sent may be applied.
public final class LogQClient: Sendable {
    /// The bounds and the connection timeout of a client.
    public struct Configuration: Sendable {
        /// The time limit for connecting, including the greeting.
        public var connectTimeout: Duration = .seconds(10)
        /// The most requests in flight: sent and not yet answered.
        public var requestsUnderWayMax = 65_536
        /// The most bytes of requests in flight. A single larger request is sent alone.
        public var bytesUnderWayMax = 16 << 20
        /// The longest reply that the client accepts, in bytes. The daemon's own limit is 64 MiB, unless
        /// `--max-reply-bytes` changes it.
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

    /// Connects over TCP, and sends `HELLO 1 vectors=f32`, so that replies have vectors in base64 instead of text.
    ///
    /// - Throws: ``LogQError/Code-swift.enum/connectFailed`` if no connection is possible, if no answer comes in time,
    ///   or if the answer is not from a `logqd`. The daemon's own error if it refuses the connection.
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

    /// Connects over a Unix-domain socket, which avoids the cost of TCP for a client on the daemon's machine.
    ///
    /// - Throws: as ``connect(host:port:configuration:)``.
    public static func connect(
        unixSocketPath path: String,
        configuration: Configuration = Configuration()
    ) async throws(LogQError) -> LogQClient {
        guard (1...unixSocketPathBytesMax).contains(path.utf8.count) else {
            let expected = "a path of 1 to \(unixSocketPathBytesMax) bytes"
            throw LogQError(
                .connectFailed,
                "could not connect to '\(path)': got \(path.utf8.count) bytes, expected \(expected)"
            )
        }
        return try await connect(to: path, configuration) { $0.connect(unixDomainSocketPath: path) }
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
        let timeoutTask = channel.eventLoop.scheduleTask(in: timeout) {
            handler.value.abort(Loss(code: .connectFailed, reason: "\(peer) did not answer HELLO in time"))
        }
        defer { timeoutTask.cancel() }
        do throws(LogQError) {
            _ = try await hello()
        } catch {
            channel.close(promise: nil)
            guard [.connectionLost, .badReply].contains(error.code) else { throw error }
            throw LogQError(.connectFailed, error.message, request: error.request)
        }
    }

    /// Sends the lines of one exchange, which delivers the outcome. If the task is cancelled, it sends nothing.
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

    /// Refuses new requests, waits for the replies to the submitted ones, then closes the connection.
    ///
    /// Cancel the task to close at once: outstanding requests then fail as if the connection were lost. It is safe to
    /// call it more than once. A client also closes its connection when it is deallocated.
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

    /// Sends `QUIT`, and waits until all requests are answered and the connection is closed.
    public func quit() async throws(LogQError) {
        try await send(.quit())
        await close()
    }
}

/// A socket error in a few words: "connection refused".
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
