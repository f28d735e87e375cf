/// The collections by name. Any thread looks one up; the writer thread adds and removes, after the commit that says so.
final class Catalogue: @unchecked Sendable {
    private let lock = ReadWriteLock()
    private var byName: [String: Collection] = [:]
    private var byNumber: [UInt32: Collection] = [:]

    deinit {
        lock.destroy()
    }

    subscript(name: String) -> Collection? {
        lock.withReadLock { byName[name] }
    }

    subscript(number number: UInt32) -> Collection? {
        lock.withReadLock { byNumber[number] }
    }

    var count: Int {
        lock.withReadLock { byName.count }
    }

    /// All collections, by number: in the order in which they were created.
    var all: [Collection] {
        lock.withReadLock { byNumber.values.sorted { $0.number < $1.number } }
    }

    func add(_ collection: Collection) {
        lock.withWriteLock {
            byName[collection.name] = collection
            byNumber[collection.number] = collection
        }
    }

    func remove(_ collection: Collection) {
        lock.withWriteLock {
            byName[collection.name] = nil
            byNumber[collection.number] = nil
        }
    }
}
