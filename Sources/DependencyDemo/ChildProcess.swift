internal import Foundation
internal import SystemSupport

/// A child process that inherits no signal mask, signal actions or process group from this process.
///
/// Foundation's `Process` gives a child the signal mask of the thread that starts it. Threads of Swift concurrency
/// block nearly every signal, so such a child could not be stopped. This child starts with all signals unblocked and at
/// their default actions, in its own process group. So Ctrl-C reaches only this process, which then stops the child.
final class ChildProcess {
    let identifier: pid_t
    private var hasEnded = false

    /// Starts `arguments[0]`. The caller still owns the descriptors. Without a descriptor, the child gets /dev/null.
    init(
        _ arguments: [String],
        environment: [String: String],
        input: Int32? = nil,
        output: Int32? = nil
    ) throws(DemoError) {
        #if canImport(Darwin)
        var actions: posix_spawn_file_actions_t?
        var attributes: posix_spawnattr_t?
        #else
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        #endif
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        for (standard, given, mode) in [(0, input, O_RDONLY), (1, output, O_WRONLY), (2, output, O_WRONLY)] {
            if let given {
                posix_spawn_file_actions_adddup2(&actions, given, Int32(standard))
            } else {
                posix_spawn_file_actions_addopen(&actions, Int32(standard), "/dev/null", mode, 0)
            }
        }

        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setpgroup(&attributes, 0)
        var flags = Int32(POSIX_SPAWN_SETSIGMASK) | Int32(POSIX_SPAWN_SETSIGDEF) | Int32(POSIX_SPAWN_SETPGROUP)
        #if canImport(Darwin)
        flags |= Int32(POSIX_SPAWN_CLOEXEC_DEFAULT)
        #endif
        posix_spawnattr_setflags(&attributes, Int16(flags))

        var words = arguments.map { strdup($0) } + [nil]
        var settings = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in words + settings { free(text) } }
        var identifier = pid_t()
        let failure = posix_spawn(&identifier, arguments[0], &actions, &attributes, &words, &settings)
        guard failure == 0 else {
            throw DemoError("could not start \(arguments[0]): \(String(cString: strerror(failure)))")
        }
        self.identifier = identifier
    }

    /// Whether the process runs. It asks the system until the process has ended.
    var isRunning: Bool {
        if !hasEnded, waitpid(identifier, nil, WNOHANG) != 0 { hasEnded = true }
        return !hasEnded
    }

    func send(_ signal: Int32) {
        if isRunning { kill(identifier, signal) }
    }

    /// Waits at most `patience`. Returns whether the process has ended. Cancellation does not shorten the wait, because
    /// the clean-up after a cancellation calls it.
    func waitUntilEnded(_ patience: Duration) -> Bool {
        let deadline = ContinuousClock.now + patience
        while isRunning {
            if ContinuousClock.now >= deadline { return false }
            usleep(2_000)
        }
        return true
    }
}
