import Dispatch
import Foundation
import Synchronization
import TestSupport

/// A connection that sends prepared bytes and counts the lines that come back. So it measures the server, not a
/// client's handling of numbers. It works with any server that answers in lines, including Redis.
final class RawConnection: Sendable {
    private let descriptor: Int32

    /// Requests to send repeatedly, and the number of lines in each reply.
    struct Load: Sendable {
        let requests: [[UInt8]]
        let linesPerReply: Int
        /// The number of counted things (for example ids) in one request.
        let countPerRequest: Int
    }

    struct Outcome: Sendable {
        var requestCount = 0
        var seconds = 0.0
        var latencies = Latencies()
    }

    /// Retries until a server listens.
    init(path: String, patience: Duration = .seconds(60)) throws {
        let deadline = ContinuousClock.now + patience
        while true {
            do {
                descriptor = try LineSocket.Address.unix(path: path).connect()
                return
            } catch {
                guard ContinuousClock.now < deadline else { throw error }
                usleep(2_000)
            }
        }
    }

    deinit {
        close(descriptor)
    }

    /// Sends one request at a time for `seconds`, each after the reply to the last.
    func oneByOne(_ load: Load, seconds: Double) throws -> Outcome {
        try pipelined(load, depth: 1, seconds: seconds)
    }

    /// Keeps `depth` requests in flight for `seconds`. `interval`: the shortest time between two requests, in seconds.
    func pipelined(_ load: Load, depth: Int, seconds: Double, interval: Double = 0) throws -> Outcome {
        let start = ContinuousClock.now
        let free = DispatchSemaphore(value: depth)
        let sent = DispatchSemaphore(value: 0)
        let sendTimes = Mutex<[ContinuousClock.Instant]>([])
        let isOver = Atomic<Bool>(false)
        Thread.detachNewThread { [self] in
            var number = 0
            while start.secondsSince < seconds {
                let early = Double(number) * interval - start.secondsSince
                if early > 0 { usleep(UInt32(early * 1e6)) }
                free.wait()
                sendTimes.withLock { $0.append(.now) }
                guard send(load.requests[number % load.requests.count]) else { break }
                number += 1
                sent.signal()
            }
            isOver.store(true, ordering: .releasing)
            sent.signal()
        }
        var outcome = Outcome()
        var reader = LineCounter(descriptor: descriptor)
        while true {
            sent.wait()
            if isOver.load(ordering: .acquiring), sendTimes.withLock({ $0.count }) == outcome.requestCount { break }
            try reader.skip(lines: load.linesPerReply)
            outcome.latencies.append(since: sendTimes.withLock { $0[outcome.requestCount] })
            outcome.requestCount += 1
            outcome.seconds = start.secondsSince
            free.signal()
        }
        return outcome
    }

    /// Sends each request once and waits for its reply.
    func all(_ requests: [[UInt8]], linesPerReply: Int) throws {
        var reader = LineCounter(descriptor: descriptor)
        for request in requests {
            guard send(request) else { throw BenchmarkError("the connection was lost") }
            try reader.skip(lines: linesPerReply)
        }
    }

    /// Whether the reply to a line of logqd's protocol contains `text`.
    func answers(_ line: String, with text: String) throws -> Bool {
        guard send(Array("\(line)\n".utf8)) else { throw BenchmarkError("the connection was lost") }
        var reader = LineCounter(descriptor: descriptor)
        let header = try reader.line()
        let rowCount = header.hasPrefix("OK ") ? Int(header.dropFirst(3)) ?? 0 : 0
        // Read all rows, because the next reply follows them.
        return try (0..<rowCount).map { _ in try reader.line() }.contains { $0.contains(text) }
    }

    private func send(_ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { bytes in
            var sentCount = 0
            while sentCount < bytes.count {
                let count = Foundation.send(
                    descriptor,
                    bytes.baseAddress! + sentCount,
                    bytes.count - sentCount,
                    Int32(MSG_NOSIGNAL)
                )
                guard count > 0 else { return false }
                sentCount += count
            }
            return true
        }
    }
}

/// Reads whole replies, but looks only at the first bytes of each line.
private struct LineCounter {
    private let descriptor: Int32
    private var buffer = [UInt8](repeating: 0, count: 1 << 20)
    private var position = 0
    private var end = 0

    init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    mutating func skip(lines: Int) throws {
        var linesLeft = lines
        if position == end { try receive() }
        // `ERR`, or an error reply of Redis.
        guard buffer[position] != UInt8(ascii: "E"), buffer[position] != UInt8(ascii: "-") else {
            throw BenchmarkError(String(decoding: buffer[position..<min(end, position + 200)], as: UTF8.self))
        }
        while true {
            buffer.withUnsafeBytes { bytes in
                while linesLeft > 0, let newline = memchr(bytes.baseAddress! + position, 0x0A, end - position) {
                    position = UnsafeRawPointer(newline) - bytes.baseAddress! + 1
                    linesLeft -= 1
                }
            }
            if linesLeft == 0 { return }
            try receive()
        }
    }

    mutating func line() throws -> String {
        var bytes: [UInt8] = []
        while bytes.last != 0x0A {
            if position == end { try receive() }
            bytes.append(buffer[position])
            position += 1
        }
        return String(decoding: bytes.dropLast(), as: UTF8.self)
    }

    private mutating func receive() throws {
        let count = recv(descriptor, &buffer, buffer.count, 0)
        guard count > 0 else { throw BenchmarkError("the connection was lost") }
        position = 0
        end = count
    }
}
