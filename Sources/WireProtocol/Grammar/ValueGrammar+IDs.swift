package import PackedStrings

extension ValueGrammar<[UInt8]> {
    /// One id.
    package static var id: ValueGrammar {
        ValueGrammar(placeholder: "id") { text throws(WireError) in
            let id = try IDText.decode(text.bytes)
            text.idCount += 1
            return id
        }
    }
}

extension ValueGrammar<PackedStrings> {
    /// Ids separated by commas, or nothing. They count toward the limit on the ids of a request.
    package static var ids: ValueGrammar<PackedStrings> {
        ValueGrammar(placeholder: "id,...") { text throws(WireError) in
            var ids = PackedStrings()
            for part in text.listedParts {
                guard text.idCount < text.limits.idsMax else {
                    throw WireError.tooManyIDs(max: text.limits.idsMax)
                }
                try IDText.decode(part, into: &ids)
                text.idCount += 1
            }
            return ids
        }
    }

    /// Keys of features, separated by commas, or nothing. They are spelled like ids, but may have any length from 1.
    package static var keys: ValueGrammar<PackedStrings> {
        ValueGrammar(placeholder: "a,b") { text throws(WireError) in
            var keys = PackedStrings()
            for part in text.listedParts {
                guard keys.count < Limits.keysMax else {
                    let got = "got more than \(Limits.keysMax) keys in \(text.name)="
                    throw WireError(.limit, "\(got), expected at most that")
                }
                guard !part.isEmpty else {
                    let got = "got an empty key in \(text.name)="
                    throw WireError(.badRequest, "\(got), expected \(text.option.placeholder)")
                }
                do throws(WireError) {
                    try IDText.withDecoded(part) { (key) throws(WireError) in keys.append(key) }
                } catch {
                    throw WireError(.badRequest, error.message)
                }
            }
            return keys
        }
    }
}

extension ValueGrammar<String> {
    /// The name of a run: as that of a collection, but of at most 62 bytes.
    package static var runName: ValueGrammar {
        ValueGrammar(placeholder: "name") { text throws(WireError) in
            guard isName(text.bytes), text.bytes.count <= Limits.runNameBytesMax else {
                throw text.refused(expected: "1 to \(Limits.runNameBytesMax) of A-Z a-z 0-9 _ -")
            }
            return String(decoding: text.bytes, as: UTF8.self)
        }
    }
}

/// The number that a producer gives to one of its requests: `seq=producer:n`.
package struct SequenceNumber: Sendable, Equatable {
    package let producer: String
    package let number: Int64
}

extension ValueGrammar<SequenceNumber> {
    /// A name, a colon, and an integer of 1 or more.
    package static var sequenceNumber: ValueGrammar {
        ValueGrammar(placeholder: "writer:n") { text throws(WireError) in
            guard let value = SequenceNumber(text.bytes) else {
                let form = "writer:n, a writer of A-Z a-z 0-9 _ - and n from 1 to \(Int64.max)"
                throw text.refused(expected: form)
            }
            return value
        }
    }
}

extension SequenceNumber {
    fileprivate init?(_ bytes: UnsafeRawBufferPointer) {
        guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")) else { return nil }
        let name = UnsafeRawBufferPointer(rebasing: bytes[..<colon])
        let digits = UnsafeRawBufferPointer(rebasing: bytes[(colon + 1)...])
        guard isName(name), let number = NumberText.unsigned(digits), (1...UInt64(Int64.max)).contains(number) else {
            return nil
        }
        self.init(producer: String(decoding: name, as: UTF8.self), number: Int64(number))
    }
}

/// A row of `POPULAR`: an id, its count, and the step as of which it was counted.
package struct CountedRow: Sendable, Equatable {
    package let id: [UInt8]
    package let count: Double
    /// Nil for `-`.
    package let step: Int64?
}

extension ValueGrammar<CountedRow> {
    /// `id,count,step`: an id, a finite number of 0 or more, and a step or `-`.
    package static var countedRow: ValueGrammar {
        ValueGrammar(placeholder: "row") { text throws(WireError) in
            let form = "id,count,step: the last row of the page before, with commas"
            let parts = text.split(UInt8(ascii: ","))
            guard parts.count == 3 else { throw text.refused(expected: form) }
            let id = try IDText.decode(parts[0])
            text.idCount += 1
            guard let count = NumberText.double(parts[1]), count.isFinite, count >= 0 else {
                throw text.refused(parts[1], expected: "a count of 0 or more in \(form)")
            }
            if isDash(parts[2]) { return CountedRow(id: id, count: count, step: nil) }
            guard let step = NumberText.unsigned(parts[2]), step <= UInt64(Int64.max) else {
                throw text.refused(parts[2], expected: "a step or - in \(form)")
            }
            return CountedRow(id: id, count: count, step: Int64(step))
        }
    }
}
