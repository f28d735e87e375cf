/// The collections by name and by number. Any thread looks one up; the writer thread changes the catalogue, after the
/// commit that says so.
///
/// A collection does not know its name: `SWAP` moves names, and everything that is stored goes by the number.
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

    /// All collections, by name.
    var allNamed: [(name: String, collection: Collection)] {
        lock.withReadLock { byName.sorted { $0.key < $1.key }.map { (name: $0.key, collection: $0.value) } }
    }

    func add(_ collection: Collection, named name: String) {
        lock.withWriteLock {
            byName[name] = collection
            byNumber[collection.number] = collection
        }
    }

    func remove(_ name: String) {
        lock.withWriteLock {
            if let collection = byName.removeValue(forKey: name) { byNumber[collection.number] = nil }
        }
    }

    /// Two collections exchange their names, for every reader at the same moment.
    func swap(_ first: String, _ second: String) {
        lock.withWriteLock {
            let collection = byName[first]
            byName[first] = byName[second]
            byName[second] = collection
        }
    }
}
