import PackedStrings
import Testing

@testable import WireProtocol

/// The words of a request as a list of byte strings, as another framing may have them.
private final class WordList {
    private let memory: [UnsafeMutableRawBufferPointer]

    init(_ words: [String]) {
        memory = words.map { word in
            let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: word.utf8.count, alignment: 1)
            bytes.copyBytes(from: word.utf8)
            return bytes
        }
    }

    deinit {
        for bytes in memory { bytes.deallocate() }
    }

    var words: [UnsafeRawBufferPointer] { memory.map { UnsafeRawBufferPointer($0) } }
}

private struct ListedWords: WordSource {
    private let words: [UnsafeRawBufferPointer]
    private(set) var wordCount = 0

    init(_ list: WordList) {
        words = list.words
    }

    var isAtEnd: Bool { wordCount == words.count }

    var optionNameCount: Int? { isAtEnd ? nil : words[wordCount].optionNameCount() }

    mutating func next() -> UnsafeRawBufferPointer? {
        guard !isAtEnd else { return nil }
        defer { wordCount += 1 }
        return words[wordCount]
    }

    mutating func rest() -> UnsafeRawBufferPointer? {
        next()
    }

    mutating func ids(countMax: Int, limit: Int) throws(WireError) -> PackedStrings {
        let count = words.count - wordCount
        guard count <= countMax else {
            throw WireError(.limit, "got \(limit - countMax + count) ids, expected at most \(limit)")
        }
        var ids = PackedStrings()
        while let word = next() { try IDText.decode(word, into: &ids) }
        return ids
    }
}

/// The parser reads requests from any source of words.
struct WordSourceTests {
    private func parse(_ texts: String..., idsMax: Int = 16_384) throws(WireError) -> Request {
        let list = WordList(texts)
        var words = ListedWords(list)
        defer { withExtendedLifetime(list) {} }
        return try TestVerbs.parse(&words, idsMax: idsMax)
    }

    @Test func readsARequestFromAListOfWords() throws {
        let put = try parse("put", "shop", "caf%C3%A9", "[1,2]", "{ \"a\": 1 }")
        #expect(TestVerbs.syntaxes[put.verb].name == "PUT")
        #expect(put[.collection] == "shop")
        #expect(put[.id] == Array("café".utf8))
        #expect(put[.vector] == [1, 2])
        #expect(put[.optionalJSON] == Array("{\"a\":1}".utf8))
        let topK = try parse("TOPK", "shop", "3", "with=logq", "like=a")
        #expect(topK[TestVerbs.k] == 3)
        #expect(topK[TestVerbs.with] == [.logq])
        #expect(topK[TestVerbs.query] == .id(Array("a".utf8)))
        #expect(try parse("GET", "shop", "a", "b")[.ids] == PackedStrings(["a", "b"].map { Array($0.utf8) }))
        #expect(try parse("FREQSET", "shop", "7", "a", "1", "-")[.estimates].gaps == [1])
    }

    @Test func errorsAreThoseOfLines() {
        #expect { try parse("GET", "c") } throws: {
            ($0 as? WireError)?.message == "got 1 word after GET, expected GET c id..."
        }
        #expect { try parse("GET", "c", "a", "b", idsMax: 1) } throws: {
            ($0 as? WireError)?.message == "got 2 ids, expected at most 1"
        }
        #expect { try parse("PING", "x") } throws: {
            ($0 as? WireError)?.message == "got 'x' too many, expected PING"
        }
        #expect { try parse() } throws: { ($0 as? WireError)?.message == "got an empty line" }
    }
}
