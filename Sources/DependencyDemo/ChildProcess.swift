/// A child process, started so that nothing of ours leaks into it.
///
/// Foundation's `Process` passes on the signal mask of the thread that starts it, and the threads of Swift's
/// concurrency block nearly every signal: a child could not be stopped. Here it begins with all signals unblocked and
/// at their defaults, in a process group of its own: Ctrl-C is for us, we tell the child.
internal import Foundation

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

final class ChildProcess {
    let identifier: pid_t
    private var hasEnded = false

    /// Starts `arguments[0]`. The descriptors stay ours; without one, /dev/null.
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

    /// Asks the system; remembers when it has ended.
    var isRunning: Bool {
        if !hasEnded, waitpid(identifier, nil, WNOHANG) != 0 { hasEnded = true }
        return !hasEnded
    }

    func send(_ signal: Int32) {
        if isRunning { kill(identifier, signal) }
    }

    /// Waits at most so long; answers whether it has ended. Cancellation does not cut this short: it is what is done
    /// after it.
    func waitUntilEnded(_ patience: Duration) -> Bool {
        let deadline = ContinuousClock.now + patience
        while isRunning {
            if ContinuousClock.now >= deadline { return false }
            usleep(2_000)
        }
        return true
    }
}
