internal import Dispatch
internal import Foundation

/// Ctrl-C, SIGTERM or a closed terminal has cancelled the work.
struct Interruption: Error, Sendable {
    let signal: Int32
}

/// Runs `work`. A signal cancels it, so that it can clean up; once it has ended, this throws `Interruption`. A second
/// signal ends the process at once.
func interruptible(_ work: @escaping @Sendable () async throws -> Void) async throws {
    let (signals, continuation) = AsyncStream.makeStream(of: Int32.self)
    let sources = [SIGINT, SIGTERM, SIGHUP].map { number in
        signal(number, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
        source.setEventHandler {
            if case .terminated = continuation.yield(number) { exit(128 + number) }
            continuation.finish()
        }
        source.resume()
        return source
    }
    defer {
        for source in sources { source.cancel() }
        for number in [SIGINT, SIGTERM, SIGHUP] { signal(number, SIG_DFL) }
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await work() }
        group.addTask {
            for await number in signals { throw Interruption(signal: number) }
        }
        defer { group.cancelAll() }
        try await group.next()
    }
}
