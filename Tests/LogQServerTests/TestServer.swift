import Foundation
import ItemStore
import Logging
import Testing

@testable import LogQServer

/// The tests with a server run one after another: they measure time and block threads.
@Suite(.serialized, .timeLimit(.minutes(2)))
enum ServerSuite {}

/// A server on a temporary directory and a free port, for the time of `body`. Afterwards nothing of it is left: neither
/// connections nor the store, whose directory is free again.
func withServer(
    _ configure: (inout ServerConfiguration, inout StoreConfiguration) -> Void = { _, _ in },
    _ body: @Sendable (TestServer) async throws -> Void
) async throws {
    let directory = FileManager.default.temporaryDirectory.appending(path: "logqd-test-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: directory) }
    var configuration = ServerConfiguration()
    configuration.tcp = ("127.0.0.1", 0)
    configuration.drainLingerMilliseconds = 50
    // How fast the machine is, or a sanitizer, is nothing that these tests are about.
    configuration.queryTimeoutMilliseconds = 60_000
    var storage = StoreConfiguration(directory: directory.path)
    configure(&configuration, &storage)
    let trace = try await runServer(configuration, storage, body)
    for _ in 0..<1_000 where trace.store != nil { try await Task.sleep(for: .milliseconds(5)) }
    #expect(trace.store == nil)
}

private struct Trace {
    weak var store: ItemStore?
}

private func runServer(
    _ configuration: ServerConfiguration,
    _ storage: StoreConfiguration,
    _ body: @Sendable (TestServer) async throws -> Void
) async throws -> Trace {
    var logger = Logger(label: "test")
    logger.logLevel = .error
    let store = try ItemStore.open(storage, logger: logger)
    let server = Server(store: store, configuration: configuration, logger: logger)
    let addresses = try await server.start()
    do {
        try await body(TestServer(server: server, port: port(of: addresses)))
    } catch {
        try await server.stop()
        throw error
    }
    try await server.stop()
    return Trace(store: store)
}

private func port(of addresses: [String]) -> Int {
    addresses.compactMap { $0.split(separator: ":").last.flatMap { Int($0) } }.first ?? 0
}

struct TestServer: Sendable {
    let server: Server
    let port: Int

    func connect() throws -> TestClient { try TestClient(port: port) }
}
