import Synchronization

/// The memory of all collections of a store together, in bytes. Each collection adds what it has allocated, and
/// subtracts it when its memory is freed. So nobody has to ask all collections. Any thread may read it.
final class MemoryAccount: Sendable {
    private let total = Atomic<Int>(0)

    var byteCount: Int { total.load(ordering: .relaxed) }

    func add(_ byteCount: Int) {
        total.wrappingAdd(byteCount, ordering: .relaxed)
    }
}
