import Foundation

/// A directory of its own for one test, gone when the test lets go of it.
///
/// Its path is short: a Unix-domain socket that lies in it has about a hundred bytes for its whole path.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/logqd-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw HarnessError("mkdtemp: \(describe(errno))") }
        path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }
}

/// What goes wrong in the harness or between it and the daemon, for people.
struct HarnessError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

func describe(_ errorNumber: Int32) -> String {
    String(cString: strerror(errorNumber))
}

/// A moment in monotonic time up to which something may take.
struct Deadline: Sendable {
    private let end: ContinuousClock.Instant

    init(seconds: Double) {
        end = ContinuousClock.now + .seconds(seconds)
    }

    var secondsLeft: Double {
        let left = (end - ContinuousClock.now).components
        return max(0, Double(left.seconds) + Double(left.attoseconds) * 1e-18)
    }

    var hasPassed: Bool { ContinuousClock.now >= end }

    /// For `poll`: rounded up, so that 0 means that the deadline has passed.
    var millisecondsLeft: Int32 { Int32((secondsLeft * 1000).rounded(.up)) }
}
