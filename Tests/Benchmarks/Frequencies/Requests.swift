import Foundation
import TestSupport

/// Requests as bytes, prepared before the measurement, and the same in every run.
struct Requests {
    let itemCount: Int
    let dimension: Int
    /// Ids in a request, all different.
    let idCount: Int
    /// The number of different requests of one kind. They are sent repeatedly.
    let variety: Int

    /// The ids of one request, in random order.
    private func ids(_ number: Int) -> [String] {
        var random = SeededGenerator(seed: UInt64(number) &* 7_919)
        var chosen = Set<Int>(minimumCapacity: idCount)
        var ids: [String] = []
        while ids.count < min(idCount, itemCount) {
            let item = Int.random(in: 0..<itemCount, using: &random)
            if chosen.insert(item).inserted { ids.append("item-\(item)") }
        }
        return ids
    }

    /// Requests of `head` and the ids, with the text from `value` after each id.
    func overIDs(_ head: String, value: (inout SeededGenerator) -> String = { _ in "" }) -> [[UInt8]] {
        var random = SeededGenerator(seed: 99)
        return (0..<variety).map { number in
            var line = Array(head.utf8)
            for id in ids(number) { line += Array(" \(id)\(value(&random))".utf8) }
            line.append(0x0A)
            return line
        }
    }

    /// `count` items, in random order.
    func someItems(_ count: Int) -> [Int] {
        var random = SeededGenerator(seed: 5)
        return Array((0..<itemCount).shuffled(using: &random).prefix(count))
    }

    func repeated(_ line: (Int) -> String) -> [[UInt8]] {
        (0..<variety).map { Array("\(line($0))\n".utf8) }
    }

    /// Puts of these items, `perBlock` of them in each block.
    func puts(_ collection: String, _ items: [Int], perBlock: Int) -> [[UInt8]] {
        var random = SeededGenerator(seed: UInt64(items[0]))
        return stride(from: 0, to: items.count, by: perBlock).map { start in
            var block: [UInt8] = []
            for item in items[start..<min(start + perBlock, items.count)] {
                let vector = (0..<dimension).map { _ in Float.random(in: -1...1, using: &random) }
                let bytes = vector.withUnsafeBytes { Data($0) }
                block += Array("PUT \(collection) item-\(item) f32:\(bytes.base64EncodedString())\n".utf8)
            }
            return block
        }
    }

    /// Pipelines for Redis: in each, one command of `words` for each id.
    func redis(_ words: (String) -> [String]) -> [[UInt8]] {
        (0..<variety).map { number in ids(number).reduce(into: []) { $0 += Self.resp(words($1)) } }
    }

    /// Redis commands, each for all ids of a request.
    func redisTogether(_ head: [String], words: (String) -> [String]) -> [[UInt8]] {
        (0..<variety).map { number in Self.resp(head + ids(number).flatMap(words)) }
    }

    static func resp(_ words: [String]) -> [UInt8] {
        var bytes = Array("*\(words.count)\r\n".utf8)
        for word in words { bytes += Array("$\(word.utf8.count)\r\n\(word)\r\n".utf8) }
        return bytes
    }
}
