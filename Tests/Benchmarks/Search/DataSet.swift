import Foundation

/// A data set by name and size. Its files are in the working directory and are made once.
struct DataSet: Sendable {
    static let names = ["hard", "hard-128", "norms", "easy"]
    static let queryCount = 1_000
    /// The number of best items for each query in the ground truth.
    static let rankCount = 100
    /// Increase it with every change of a recipe or of the generator, so that older files are not used.
    private static let version = 1

    let name: String
    let itemCount: Int
    /// The number of items at scale 1.
    let fullItemCount: Int
    let dimension: Int
    let recipe: Recipe

    /// Nil if there is no data set with this name.
    init?(named name: String, scale: Double) {
        let isWide = name == "hard-128"
        switch name {
        case "hard", "hard-128": recipe = .hard
        case "norms": recipe = .norms
        case "easy": recipe = .easy
        default: return nil
        }
        self.name = name
        fullItemCount = isWide ? 100_000 : 1_000_000
        itemCount = max(1_024, Int(Double(fullItemCount) * scale))
        dimension = isWide ? 128 : 64
    }

    /// Part of the names of its files, and of the files of every index built from them.
    var key: String { "\(name)-\(itemCount)x\(dimension)-v\(Self.version)" }

    /// Makes the files that are missing, and maps all into memory.
    func prepare(in directory: String) throws -> PreparedDataSet {
        let items = "\(directory)/\(key).items.f32"
        let queries = "\(directory)/\(key).queries.f32"
        let truth = "\(directory)/\(key).truth.u32"
        let vectorByteCount = dimension * MemoryLayout<Float>.size
        if !hasFile(items, itemCount * vectorByteCount) || !hasFile(queries, Self.queryCount * vectorByteCount) {
            let start = ContinuousClock.now
            let generator = VectorGenerator(recipe, itemCount: itemCount, dimension: dimension)
            try generator.items(count: itemCount).write(to: items)
            try generator.queries(count: Self.queryCount).write(to: queries)
            try? FileManager.default.removeItem(atPath: truth)
            tell("\(key): generated in \(start.secondsSince.text(1)) s")
        }
        let itemFile = try MappedFile<Float>(items)
        let queryFile = try MappedFile<Float>(queries)
        if !hasFile(truth, Self.queryCount * Self.rankCount * MemoryLayout<UInt32>.size) {
            let start = ContinuousClock.now
            let search = ExhaustiveSearch(items: itemFile.elements, queries: queryFile.elements, dimension: dimension)
            try search.best(Self.rankCount).write(to: truth)
            tell("\(key): ground truth in \(start.secondsSince.text(1)) s")
        }
        return PreparedDataSet(set: self, items: itemFile, queries: queryFile, truth: try MappedFile<UInt32>(truth))
    }

    private func hasFile(_ path: String, _ byteCount: Int) -> Bool {
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        return attributes?[.size] as? Int == byteCount
    }
}

/// A data set whose files exist.
struct PreparedDataSet: Sendable {
    let set: DataSet
    let items: MappedFile<Float>
    let queries: MappedFile<Float>
    /// For each query, the rows of its best items, best first.
    let truth: MappedFile<UInt32>

    func item(_ row: Int) -> [Float] {
        Array(items.elements[row * set.dimension..<(row + 1) * set.dimension])
    }

    func query(_ index: Int) -> [Float] {
        Array(queries.elements[index * set.dimension..<(index + 1) * set.dimension])
    }

    func id(_ row: Int) -> [UInt8] { Array(String(row).utf8) }

    /// The number of these ids that are among the query's true best items. For n ids, these are the n best items.
    func hitCount(_ ids: some Sequence<some Sequence<UInt8>>, query: Int) -> Int {
        let found = ids.compactMap { UInt32(String(decoding: Array($0), as: UTF8.self)) }
        let first = query * DataSet.rankCount
        return Set(truth.elements[first..<first + found.count]).intersection(found).count
    }
}

/// A file of numbers, mapped into memory during the lifetime of this object. Little-endian, like the machine.
final class MappedFile<Element: BitwiseCopyable & Sendable>: Sendable {
    let path: String
    nonisolated(unsafe) let elements: UnsafeBufferPointer<Element>

    init(_ path: String) throws {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw BenchmarkError("could not open \(path): \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        let byteCount = Int(lseek(descriptor, 0, SEEK_END))
        guard let base = mmap(nil, byteCount, PROT_READ, MAP_SHARED, descriptor, 0), base != MAP_FAILED else {
            throw BenchmarkError("could not map \(path): \(String(cString: strerror(errno)))")
        }
        self.path = path
        elements = UnsafeRawBufferPointer(start: base, count: byteCount).bindMemory(to: Element.self)
    }

    deinit {
        munmap(UnsafeMutableRawPointer(mutating: elements.baseAddress), elements.count * MemoryLayout<Element>.stride)
    }
}

extension Array where Element: BitwiseCopyable {
    /// Writes the file atomically, so that an existing file is always complete.
    func write(to path: String) throws {
        try withUnsafeBytes { try Data($0).write(to: URL(fileURLWithPath: path), options: .atomic) }
    }
}
