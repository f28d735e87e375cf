import Foundation
import ItemStore
import Logging
import TestSupport
import Testing

@testable import LogQServer

/// The tests with a server run one after another, because they measure time and block threads.
@Suite(.serialized, .timeLimit(.minutes(2)))
enum ServerSuite {}

/// Runs a server on a temporary directory and a free port during `body`. Afterwards its connections and its store are
/// closed, and the directory is free.
func withServer(
    _ configure: (inout ServerConfiguration, inout StoreConfiguration) -> Void = { _, _ in },
    _ body: @Sendable (TestServer) async throws -> Void
) async throws {
    let directory = try TemporaryDirectory()
    defer { withExtendedLifetime(directory) {} }
    var configuration = ServerConfiguration()
    configuration.tcp = [ListenAddress(host: "127.0.0.1", port: 0)]
    configuration.drainLingerMilliseconds = 50
    // These tests must not depend on the speed of the machine or of a sanitizer.
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
