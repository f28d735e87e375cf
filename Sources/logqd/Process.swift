import ItemStore
import LogQServer
import SystemSupport

/// Sets the signals and the limit of open files for a daemon.
func prepareProcess() {
    // Writing to a closed connection, or to a file at its size limit, must fail one call and not end the process.
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
    endProcessOnDamagedPages()
    // Each connection needs a descriptor, and the soft limit is often 1,024.
    raiseDescriptorLimit()
}

/// Whether the process was started with SIGHUP ignored, as nohup does: it must survive the end of its terminal.
var isHangupIgnored: Bool {
    let handler = signal(SIGHUP, SIG_IGN)
    signal(SIGHUP, handler)
    return unsafeBitCast(handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
}

/// The exit code (sysexits.h) that tells an operator's script the kind of failure.
func processExitCode(of error: any Error) -> Int32 {
    switch error {
    case let error as StoreError:
        switch error.code {
        case .directoryInUse: 73
        case .unknownSchema: 78
        case .corrupt, .full, .readOnly, .internalError: 74
        default: 1
        }
    case is SocketInUse: 73
    case is OpenAddress: 64
    default: 1
    }
}
