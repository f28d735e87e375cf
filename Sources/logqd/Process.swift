import ItemStore
import LogQServer

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// What concerns the process: signals, limits of the system, exit codes.

let serverVersion = "0.1.0"

/// Makes the process fit to be a daemon.
func prepareProcess() {
    // A peer that is gone, and a file that hits its size limit, are errors of one call, not reasons to die.
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
    // Each connection is a descriptor. The soft limit is often 1,024.
    var limit = rlimit()
    #if canImport(Glibc)
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    #else
    let resource = RLIMIT_NOFILE
    #endif
    if getrlimit(resource, &limit) == 0, limit.rlim_cur < limit.rlim_max {
        limit.rlim_cur = limit.rlim_max
        _ = setrlimit(resource, &limit)
    }
}

/// The memory of the machine.
var physicalMemoryByteCount: Int {
    Int(sysconf(Int32(_SC_PHYS_PAGES))) * Int(sysconf(Int32(_SC_PAGESIZE)))
}

/// The exit code that tells an operator's script what kind of trouble it was (sysexits.h).
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
    default: 1
    }
}
