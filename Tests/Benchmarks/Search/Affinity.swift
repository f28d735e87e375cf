import Foundation

/// The cores that the calling thread may run on, on Linux. Swift does not import these functions, because the C library
/// declares them only under `_GNU_SOURCE`. So the dynamic linker finds them.
struct Affinity {
    private typealias Function = @convention(c) (pid_t, Int, UnsafeMutableRawPointer) -> Int32
    private static let byteCount = 128

    /// One bit for each core.
    private var mask = [UInt8](repeating: 0, count: Self.byteCount)

    /// Nil if the system does not support it.
    static var current: Affinity? {
        var affinity = Affinity()
        guard let function = function("sched_getaffinity"), function(0, byteCount, &affinity.mask) >= 0 else {
            return nil
        }
        return affinity
    }

    var lastCore: Int? {
        (0..<Self.byteCount * 8).last { mask[$0 / 8] >> ($0 % 8) & 1 == 1 }
    }

    /// Runs `body` with the calling thread pinned to one core, if the system supports it.
    static func pinned<Result>(to core: Int, _ body: () throws -> Result) rethrows -> Result {
        guard let before = current, core < byteCount * 8 else { return try body() }
        var affinity = Affinity()
        affinity.mask[core / 8] |= 1 << UInt8(core % 8)
        if !affinity.apply() { tell("could not pin to core \(core)") }
        defer { _ = before.apply() }
        return try body()
    }

    private func apply() -> Bool {
        var mask = mask
        return Self.function("sched_setaffinity").map { $0(0, Self.byteCount, &mask) == 0 } ?? false
    }

    private static func function(_ name: String) -> Function? {
        #if os(Linux)
        // A null handle: the libraries of this program.
        return dlsym(nil, name).map { unsafeBitCast($0, to: Function.self) }
        #else
        return nil
        #endif
    }
}
