import Foundation
package import SystemSupport

/// A program as a child process. This object collects its standard output and standard error. The child does not
/// outlive the process that started it.
///
/// Two threads read the child's output to its end, and one of them waits for the child. All other waits use the
/// condition and have a deadline. Releasing the last reference kills the child. If this process dies, `Watchman` kills
/// the child.
package final class ChildProcess: @unchecked Sendable {
    /// Guards the fields below, and is signalled at every change.
    private let condition = NSCondition()
    private var outputBytes: [UInt8] = []
    private var errorBytes: [UInt8] = []
    private var openPipes = 2
    private var exitStatus: ExitStatus?

    package let processID: pid_t

    package enum ExitStatus: Equatable, Sendable {
        case exited(Int32)
        case signalled(Int32)
    }

    /// Starts `arguments[0]`, a path, with an empty standard input. With `forwardsErrors`, its standard error also goes
    /// to that of this process.
    package init(
        _ arguments: [String],
        environment: [String: String] = ProcessInfo.processInfo.environment,
        forwardsErrors: Bool = false
    ) throws {
        let output = try Pipe()
        let error = try Pipe()
        processID = try Self.spawn(arguments, environment: environment, output: output.writeEnd, error: error.writeEnd)
        close(output.writeEnd)
        close(error.writeEnd)
        Watchman.shared.tell("+ \(processID)")
        // The threads must not retain this object, because it kills the child when its last owner releases it.
        Thread.detachNewThread { [weak self] in
            Self.readAll(output.readEnd) { bytes in self?.change { $0.outputBytes += bytes } }
            self?.change { $0.openPipes -= 1 }
        }
        let processID = self.processID
        Thread.detachNewThread { [weak self] in
            Self.readAll(error.readEnd) { bytes in
                if forwardsErrors { FileHandle.standardError.write(Data(bytes)) }
                self?.change { $0.errorBytes += bytes }
            }
            self?.change { $0.openPipes -= 1 }
            // Wait for the end first, then reap under the lock. In between, the process id still belongs to the child,
            // so `send(signal:)` cannot reach another process.
            var information = siginfo_t()
            while waitid(P_PID, id_t(processID), &information, WEXITED | WNOWAIT) != 0, errno == EINTR {}
            Watchman.shared.tell("- \(processID)")
            guard let self else {
                var status: Int32 = 0
                waitpid(processID, &status, 0)
                return
            }
            self.change { child in
                var status: Int32 = 0
                waitpid(processID, &status, 0)
                let signal = status & 0x7F
                child.exitStatus = signal == 0 ? .exited((status >> 8) & 0xFF) : .signalled(signal)
            }
        }
    }

    deinit {
        if exitStatus == nil { SystemSupport.kill(processID, SIGKILL) }
    }

    package var output: String { locked { String(decoding: $0.outputBytes, as: UTF8.self) } }
    package var errorOutput: String { locked { String(decoding: $0.errorBytes, as: UTF8.self) } }

    package func send(signal: Int32) {
        locked { if $0.exitStatus == nil { SystemSupport.kill($0.processID, signal) } }
    }

    /// Kills the child with SIGKILL, so that it writes and sends nothing more. Returns when it has ended.
    package func kill() throws {
        send(signal: SIGKILL)
        _ = try waitForExit(within: TestScale.patienceSeconds)
    }

    /// Waits until the child has ended and all its output has been read.
    package func waitForExit(within seconds: Double) throws -> ExitStatus {
        try wait(within: seconds, for: "exit") { $0.openPipes == 0 ? $0.exitStatus : nil }
    }

    /// Waits until a line of the error output satisfies `isIt`, and returns the line. Fails at once if the child ends
    /// without such a line.
    package func waitForErrorLine(
        within seconds: Double,
        for what: String,
        where isIt: (Substring) -> Bool
    ) throws -> String {
        let found: String? = try wait(within: seconds, for: what) { child in
            let text = String(decoding: child.errorBytes, as: UTF8.self)
            // The last piece may be an incomplete line.
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
            if let line = lines.first(where: isIt) { return .some(String(line)) }
            return child.exitStatus != nil && child.openPipes == 0 ? .some(nil) : nil
        }
        guard let found else { throw HarnessError("the child ended before \(what); it said:\n\(errorOutput)") }
        return found
    }

    private func wait<Value>(
        within seconds: Double,
        for what: String,
        _ value: (ChildProcess) -> Value?
    ) throws -> Value {
        let end = Date(timeIntervalSinceNow: seconds)
        condition.lock()
        defer { condition.unlock() }
        while true {
            if let value = value(self) { return value }
            guard condition.wait(until: end) else {
                throw HarnessError(
                    "no \(what) within \(seconds) s; the child said:\n\(String(decoding: errorBytes, as: UTF8.self))"
                )
            }
        }
    }

    private func change(_ body: (ChildProcess) -> Void) {
        condition.lock()
        body(self)
        condition.broadcast()
        condition.unlock()
    }

    private func locked<Value>(_ body: (ChildProcess) -> Value) -> Value {
        condition.lock()
        defer { condition.unlock() }
        return body(self)
    }

    private static func readAll(_ descriptor: Int32, _ take: ([UInt8]) -> Void) {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count > 0 {
                take(Array(buffer[..<count]))
            } else if count == 0 || errno != EINTR {
                break
            }
        }
        close(descriptor)
    }

    private static func spawn(
        _ arguments: [String],
        environment: [String: String],
        output: Int32,
        error: Int32
    ) throws -> pid_t {
        #if canImport(Darwin)
        var actions: posix_spawn_file_actions_t?
        var attributes: posix_spawnattr_t?
        #else
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        #endif
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, error, STDERR_FILENO)
        // The child starts with the signal settings that a shell would give it, whatever settings the test runner has.
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        var all = sigset_t()
        sigfillset(&all)
        sigdelset(&all, SIGKILL)
        sigdelset(&all, SIGSTOP)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

        let words = cStrings(arguments)
        let variables = cStrings(environment.map { "\($0.key)=\($0.value)" })
        defer { for pointer in words + variables { free(pointer) } }
        var processID: pid_t = 0
        let problem = posix_spawn(&processID, arguments[0], &actions, &attributes, words, variables)
        guard problem == 0 else { throw HarnessError("cannot start \(arguments[0]): \(describe(problem))") }
        return processID
    }
}

/// Copies of strings for `posix_spawn`, with a null pointer at the end. The caller frees them.
private func cStrings(_ strings: [String]) -> [UnsafeMutablePointer<CChar>?] {
    strings.map { strdup($0) } + [nil]
}

/// Both ends of a pipe. Children do not inherit them, because a daemon that did would keep the pipe open.
private struct Pipe {
    let readEnd: Int32
    let writeEnd: Int32

    init() throws {
        var ends: [Int32] = [-1, -1]
        #if os(Linux)
        // Use a pair of sockets: the flag must be set from the start, and the Glibc module does not have `pipe2`.
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw HarnessError("socketpair: \(describe(errno))")
        }
        #else
        guard pipe(&ends) == 0 else { throw HarnessError("pipe: \(describe(errno))") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        #endif
        (readEnd, writeEnd) = (ends[0], ends[1])
    }
}

/// A shell that outlives this process and kills its remaining children.
///
/// This process reports to the shell each child that starts or ends. When the shell's standard input ends, this process
/// has ended.
private final class Watchman: Sendable {
    static let shared = Watchman()

    private let writeEnd: Int32?

    private static let script = """
        trap '' INT TERM HUP
        alive=''
        while read -r change child; do
            others=''
            for one in $alive; do [ "$one" = "$child" ] || others="$others $one"; done
            alive=$others
            [ "$change" = + ] && alive="$alive $child"
        done
        for one in $alive; do kill -9 "$one" 2>/dev/null; done
        """

    private init() {
        guard let pipe = try? Pipe() else {
            writeEnd = nil
            return
        }
        #if canImport(Darwin)
        var actions: posix_spawn_file_actions_t?
        #else
        var actions = posix_spawn_file_actions_t()
        #endif
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, pipe.readEnd, STDIN_FILENO)
        // The shell must not hold this process's outputs: a test runner that waits for their end must not wait for the
        // shell.
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)
        let words = cStrings(["/bin/sh", "-c", Self.script])
        defer { for word in words { free(word) } }
        var processID: pid_t = 0
        let isStarted = posix_spawn(&processID, "/bin/sh", &actions, nil, words, environ) == 0
        close(pipe.readEnd)
        writeEnd = isStarted ? pipe.writeEnd : nil
    }

    func tell(_ change: String) {
        guard let writeEnd else { return }
        let line = Array((change + "\n").utf8)
        _ = write(writeEnd, line, line.count)
    }
}
