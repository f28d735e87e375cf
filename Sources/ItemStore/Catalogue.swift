import SystemSupport

/// The collections by name and by number. Any thread may read the catalogue. The store's thread changes it, after the
/// commit of the change.
///
/// The name is not in the `Collection`, because `SWAP` exchanges names. Stored records have the number of their
/// collection.
final class Catalogue: @unchecked Sendable {
    private let lock = ReadWriteLock()
    private var byName: [String: Collection] = [:]
    private var byNumber: [UInt32: Collection] = [:]
    /// The memory of all collections, also of those that were dropped while somebody still reads them.
    let memory = MemoryAccount()

    deinit {
        lock.destroy()
    }

    subscript(name: String) -> Collection? {
        lock.withReadLock { byName[name] }
    }

    subscript(number number: UInt32) -> Collection? {
        lock.withReadLock { byNumber[number] }
    }

    func name(of number: UInt32) -> String? {
        lock.withReadLock { byName.first { $0.value.number == number }?.key }
    }

    var count: Int {
        lock.withReadLock { byName.count }
    }

    /// All collections, ordered by number, which is the order of their creation.
    var all: [Collection] {
        lock.withReadLock { byNumber.values.sorted { $0.number < $1.number } }
    }

    /// All collections, ordered by name.
    var allNamed: [(name: String, collection: Collection)] {
        lock.withReadLock { byName.sorted { $0.key < $1.key }.map { (name: $0.key, collection: $0.value) } }
    }

    func add(_ collection: Collection, named name: String) {
        lock.withWriteLock {
            byName[name] = collection
            byNumber[collection.number] = collection
        }
    }

    func remove(_ number: UInt32) {
        lock.withWriteLock {
            byNumber[number] = nil
            if let name = byName.first(where: { $0.value.number == number })?.key { byName[name] = nil }
        }
    }

    /// Renames collections, for all readers at the same moment. The new names must be the old names of these
    /// collections in another order. Returns false, without a change, if one of the numbers does not exist.
    func rename(_ names: [(number: UInt32, name: String)]) -> Bool {
        lock.withWriteLock {
            let collections = names.compactMap { byNumber[$0.number] }
            guard collections.count == names.count else { return false }
            for (collection, entry) in zip(collections, names) { byName[entry.name] = collection }
            return true
        }
    }
}
