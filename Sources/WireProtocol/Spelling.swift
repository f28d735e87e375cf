/// The word that `typed` was probably meant to be, in any case of letters. Nil if none differs from it in two letters
/// or fewer, or in fewer than half of its letters.
package func closestSpelling(to typed: String, among words: [String]) -> String? {
    let typed = Array(typed.lowercased().utf8)
    let distances = words.map { ($0, editDistance(typed, Array($0.lowercased().utf8))) }
    guard let (word, distance) = distances.min(by: { $0.1 < $1.1 }) else { return nil }
    return distance <= 2 && distance * 2 < word.utf8.count + 1 ? word : nil
}

/// The number of letters to insert, remove, replace or exchange with their neighbours, to turn one word into another.
private func editDistance(_ first: [UInt8], _ second: [UInt8]) -> Int {
    // Longer words are no spelling of each other, and the work is the product of the lengths.
    guard first.count <= 64, second.count <= 64 else { return .max / 4 }
    var beforeLast: [Int] = []
    var last = Array(0...second.count)
    for row in first.indices {
        var current = [row + 1]
        for column in second.indices {
            var distance = min(last[column + 1], current[column]) + 1
            distance = min(distance, last[column] + (first[row] == second[column] ? 0 : 1))
            if row > 0, column > 0, first[row] == second[column - 1], first[row - 1] == second[column] {
                distance = min(distance, beforeLast[column - 1] + 1)
            }
            current.append(distance)
        }
        (beforeLast, last) = (last, current)
    }
    return last[second.count]
}
