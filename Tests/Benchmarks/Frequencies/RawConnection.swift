import Dispatch
import Foundation
import Synchronization

/// A connection that sends bytes made beforehand and counts the lines that come back: so that what is measured is the
/// server, not what a client does with numbers. Speaks to whatever answers in lines, Redis too.
final class RawConnection: Sendable {
    private let descriptor: Int32

    /// Requests sent over and over, and how many lines each is answered with.
    struct Load: Sendable {
        let requests: [[UInt8]]
        let linesPerReply: Int
        /// How many of what is counted a request is.
        let countPerRequest: Int
    }

    struct Outcome: Sendable {
        var requestCount = 0
        var seconds = 0.0
        var latencies = Latencies()
    }

    /// Tries until somebody listens.
    init(path: String, patience: Duration = .seconds(60)) throws {
        let deadline = ContinuousClock.now + patience
        while true {
            let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8.prefix(107)) + [0]) }
            let size = socklen_t(MemoryLayout<sockaddr_un>.size)
            let status = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, size) }
            }
            if status == 0 {
                self.descriptor = descriptor
                return
            }
            close(descriptor)
            guard ContinuousClock.now < deadline else { throw BenchmarkError("nobody listens at \(path)") }
            usleep(2_000)
        }
    }

    deinit {
        close(descriptor)
    }

    /// One request after another for so long, each sent when the answer to the last is there.
    func oneByOne(_ load: Load, seconds: Double) throws -> Outcome {
        try pipelined(load, depth: 1, seconds: seconds)
    }

    /// Keeps `depth` requests under way for so long. `interval`: not more than one in so many seconds.
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

    /// Sends each request once, a few at a time.
    func all(_ requests: [[UInt8]], linesPerReply: Int) throws {
        var reader = LineCounter(descriptor: descriptor)
        for request in requests {
            guard send(request) else { throw BenchmarkError("the connection was lost") }
            try reader.skip(lines: linesPerReply)
        }
    }

    /// Whether the answer to a line of logqd's protocol has `text` in it.
    func answers(_ line: String, with text: String) throws -> Bool {
        guard send(Array("\(line)\n".utf8)) else { throw BenchmarkError("the connection was lost") }
        var reader = LineCounter(descriptor: descriptor)
        let header = try reader.line()
        let rowCount = header.hasPrefix("OK ") ? Int(header.dropFirst(3)) ?? 0 : 0
        // All of them, for the next answer comes behind.
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

/// Reads replies to their ends and looks at nothing but their first bytes.
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
        // `ERR`, or an error of Redis.
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

/// Something that runs on a thread of its own until it is done.
final class Background<R: Sendable>: Sendable {
    private let result = Mutex<Result<R, any Error>?>(nil)
    private let isDone = DispatchSemaphore(value: 0)

    init(_ body: @escaping @Sendable () throws -> R) {
        Thread.detachNewThread { [self] in
            let outcome = Result { try body() }
            result.withLock { $0 = outcome }
            isDone.signal()
        }
    }

    func wait() throws -> R {
        isDone.wait()
        return try result.withLock { $0! }.get()
    }
}
