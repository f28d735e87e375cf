internal import Synchronization

/// Ends the process with exit code 74 (`EX_IOERR`), because the data file was damaged while it was open. No part of the
/// process may use that file any more, so nothing is written or closed in order.
package func endProcessAfterDamage(_ message: String) -> Never {
    var line = "logqd: " + message + "\n"
    line.withUTF8 { bytes in _ = write(STDERR_FILENO, bytes.baseAddress, bytes.count) }
    _exit(EX_IOERR)
}

/// A number that identifies the calling thread; never 0.
package func currentThreadNumber() -> UInt {
    #if canImport(Darwin)
    UInt(bitPattern: pthread_self())
    #else
    UInt(pthread_self())
    #endif
}

/// The thread that works on the pages of the data file, or 0.
private let threadOnDataFile = Atomic<UInt>(0)

/// Notes the thread that works on the pages of the data file, or 0, and returns the one before. The pages may be
/// damaged while they are open, and the code that reads them trusts them.
package func exchangeThreadOnDataFile(_ thread: UInt) -> UInt {
    threadOnDataFile.exchange(thread, ordering: .relaxed)
}

nonisolated(unsafe) private var earlierAction = sigaction()

/// From now on, damage to the data file while it is open ends the process with exit code 74 and a sentence, not by a
/// signal without a word.
package func endProcessOnDamagedPages() {
    // Only the data file and files of LMDB are mapped. They may be shortened, or the disk may fail to read them.
    signal(SIGBUS) { _ in
        endProcessInHandler(
            "logqd: SIGBUS: the data file was shortened while it was open, or the disk can't read it or has no room\n"
        )
    }
    _ = exchangeThreadOnDataFile(0)
    var action = sigaction()
    #if canImport(Darwin)
    action.__sigaction_u.__sa_handler = handleInvalidAccess
    #else
    action.__sigaction_handler.sa_handler = handleInvalidAccess
    #endif
    sigaction(SIGSEGV, &action, &earlierAction)
}

private func handleInvalidAccess(_: Int32) {
    if threadOnDataFile.load(ordering: .relaxed) == currentThreadNumber() {
        endProcessInHandler("logqd: SIGSEGV: the data file was damaged while it was open\n")
    }
    // The access is repeated, and then does what it would have done without this handler.
    sigaction(SIGSEGV, &earlierAction, nil)
}

/// A signal handler may allocate nothing.
private func endProcessInHandler(_ line: StaticString) -> Never {
    _ = write(STDERR_FILENO, line.utf8Start, line.utf8CodeUnitCount)
    _exit(EX_IOERR)
}
