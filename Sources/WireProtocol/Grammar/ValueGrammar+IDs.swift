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
