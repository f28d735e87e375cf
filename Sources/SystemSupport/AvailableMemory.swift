/// The memory that this process may use: the machine's, or less if a control group or a resource limit allows less.
package struct AvailableMemory: Sendable, Equatable {
    package let byteCount: Int
    /// The machine, the control group or the limit that allows no more, as text for an operator.
    package let source: String

    package init(byteCount: Int, source: String) {
        self.byteCount = byteCount
        self.source = source
    }

    /// The smallest of all bounds that hold at present.
    package static func ofThisProcess() -> AvailableMemory {
        let machine = AvailableMemory(byteCount: physicalMemoryByteCount, source: "machine")
        return smallest([machine, ControlGroups.memoryLimit(), ofAddressSpace()].compactMap { $0 }) ?? machine
    }

    static func smallest(_ bounds: [AvailableMemory]) -> AvailableMemory? {
        bounds.min { $0.byteCount < $1.byteCount }
    }

    /// A limit on address space (`ulimit -v`) leaves half of it for data, because the other half is for the mapping of
    /// the data file.
    private static func ofAddressSpace() -> AvailableMemory? {
        addressSpaceByteCountMax.map { AvailableMemory(byteCount: $0 / 2, source: "half of the address space") }
    }

    private static var physicalMemoryByteCount: Int {
        Int(sysconf(Int32(_SC_PHYS_PAGES))) * Int(sysconf(Int32(_SC_PAGESIZE)))
    }
}

/// The soft limit on the address space of this process (`RLIMIT_AS`); nil if there is none.
package var addressSpaceByteCountMax: Int? {
    // Each system has its own number for "no limit", beyond what an address can be.
    softLimit(of: .addressSpace).flatMap { $0 >= rlim_t(Int.max) ? nil : Int($0) }
}

/// The soft limit on file descriptors of this process.
package var descriptorCountMax: Int? {
    softLimit(of: .descriptors).map { Int(clamping: $0) }
}

/// Raises the soft limit on file descriptors to the hard limit.
package func raiseDescriptorLimit() {
    var limit = rlimit()
    guard getrlimit(ResourceLimit.descriptors.resource, &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
    limit.rlim_cur = limit.rlim_max
    // If the system refuses, the present limit stays, and `descriptorCountMax` says what it is.
    _ = setrlimit(ResourceLimit.descriptors.resource, &limit)
}

private func softLimit(of kind: ResourceLimit) -> rlim_t? {
    var limit = rlimit()
    return getrlimit(kind.resource, &limit) == 0 ? limit.rlim_cur : nil
}

private enum ResourceLimit {
    case addressSpace, descriptors

    #if canImport(Glibc)
    var resource: __rlimit_resource_t {
        switch self {
        case .addressSpace: __rlimit_resource_t(RLIMIT_AS.rawValue)
        case .descriptors: __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        }
    }
    #else
    var resource: Int32 {
        switch self {
        case .addressSpace: RLIMIT_AS
        case .descriptors: RLIMIT_NOFILE
        }
    }
    #endif
}
