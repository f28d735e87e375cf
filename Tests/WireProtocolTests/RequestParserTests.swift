import NIOCore
import PackedStrings
import TestSupport
import Testing

@testable import WireProtocol

struct RequestParserTests {
    private typealias Verbs = TestVerbs

    private func parse(_ line: String, idsMax: Int = 16_384) throws(WireError) -> Request {
        try line.withBytes { bytes throws(WireError) in
            var words = LineWords(bytes)
            return try TestVerbs.parse(&words, idsMax: idsMax)
        }
    }

    private func strings(_ texts: String...) -> PackedStrings {
        PackedStrings(texts.map { Array($0.utf8) })
    }

    /// A connection parses all its requests into one value.
    @Test func aRequestKeepsNothingOfTheOneBefore() throws {
        let parser = TestVerbs.parser()
        let long = "GET shop " + (0..<2_000).map { "id\($0)" }.joined(separator: " ")
        let lines = [
            "PUT shop a [1,2] {\"a\":1}", "FSET shop a {}", "GET shop a b c", long, "OBSERVE shop 7 seq=w:1 a a",
            "FREQSET shop 7 a 1 2 b - 3", "HELP", "HELP put", "SWAP shop next", "TOPK c 3 with=vector like=d",
            "TOPK c 3 [1]", "NOPE", "GET shop", "PUT shop a [nan]", "FREQSET shop 7 a 1",
        ]
        var request = Request()
        for first in lines {
            for second in lines {
                for line in [first, second] {
                    let fresh = Result { try parse(line) }
                    let reused = line.withBytes { bytes in
                        Result { () throws(RefusedRequest) in
                            var words = LineWords(bytes)
                            try parser.parse(&words, into: &request)
                        }
                    }
                    switch (fresh, reused) {
                    case (.success(let fresh), .success):
                        #expect("\(request)" == "\(fresh)", "\(first), then \(second)")
                    case (.failure(let error), .failure(let refused)):
                        #expect(error as? WireError == refused.error)
                    default: Issue.record("\(first), then \(second): \(fresh), \(reused)")
                    }
                }
            }
        }
    }

    @Test func readsEveryKindOfArgument() throws {
        let put = try parse("put shop caf%C3%A9 [1,2] { \"a\": 1 }")
        #expect(TestVerbs.syntaxes[put.verb].name == "PUT")
        #expect(put[.collection] == "shop")
        #expect(put[.id] == Array("café".utf8))
        #expect(put[.vector] == [1, 2])
        #expect(put[.optionalJSON] == Array("{\"a\":1}".utf8))
        #expect(try parse("PUT shop a f32:AACAPwAAAEA=")[.vector] == [1, 2])
        #expect(try parse("PUT shop a [1]")[.optionalJSON] == nil)
        #expect(try parse("FSET shop a {}")[.json] == Array("{}".utf8))
        #expect(try parse("GET shop a b%20c é")[.ids] == strings("a", "b c", "é"))
        #expect(try parse("OBSERVE shop 7 a a")[.step] == 7)
        #expect(try parse("OBSERVE shop - a")[.step] == nil)
        #expect(try parse("OBSERVE shop 9223372036854775807 a")[.step] == .max)
        #expect(try parse("HELP")[Verbs.word] == nil)
        #expect(try parse("HELP put")[Verbs.word] == "put")
        let swap = try parse("SWAP shop shop-next")
        #expect(swap[Verbs.first] == "shop" && swap[Verbs.second] == "shop-next")
        #expect(try parse("TOPK shop 10000 [1]")[Verbs.k] == 10_000)
        #expect(try parse("SAMPLE shop 16384")[Verbs.count] == 16_384)
        #expect(try parse("SAMPLE shop 524288", idsMax: 1 << 24)[Verbs.count] == 524_288)
        #expect { try parse("SAMPLE shop 524289", idsMax: 1 << 24) } throws: { ($0 as? WireError)?.code == .limit }
        let score = try parse("SCORE shop [1,2] a b")
        #expect(score[.vector] == [1, 2])
        #expect(score[.ids] == strings("a", "b"))
    }

    @Test func readsEveryKindOfOption() throws {
        let create = try parse("CREATE c dim=4096 METRIC=l2 alpha=1e-2")
        #expect(create[Verbs.dim] == 4_096)
        #expect(create[Verbs.metric] == .l2)
        #expect(create[Verbs.alpha] == 0.01)
        let topK = try parse("TOPK c 3 with=features,vector except=a%2Cb,c like=d")
        #expect(topK[Verbs.with] == [.vector, .features])
        #expect(topK[Verbs.except] == strings("a,b", "c"))
        #expect(topK[Verbs.query] == .id(Array("d".utf8)))
        #expect(try parse("TOPK c 3 [1]")[Verbs.query] == .vector([1]))
        let observe = try parse("OBSERVE c 1 seq=worker-1_X:9223372036854775807 a")
        #expect(observe[Verbs.sequence] == SequenceNumber(producer: "worker-1_X", number: .max))
        #expect(try parse("FGET c fields=a,b%20c,%c3%a9 x")[Verbs.fields] == strings("a", "b c", "é"))
        for (text, expected) in [("3:1", (3.0, 1.0)), ("0:1e-300", (0, 1e-300)), (".5:0", (0.5, 0))] {
            let weights = try parse("SAMPLE c 1 mix=\(text)")[Verbs.mix]
            #expect(weights == Weights(inBatch: expected.0, uniform: expected.1))
        }
        #expect(try parse("SAMPLE c 1 unique=true")[Verbs.unique])
        #expect(try parse("SAMPLE c 1 seed=18446744073709551615")[Verbs.seed] == .max)
        #expect(try parse("HELLO 1 vectors=f32")[Verbs.vectors] == .base64)
        let scan = try parse("SCAN c after=4294967295 limit=16384")
        #expect(scan[Verbs.after] == .max && scan[Verbs.limit] == 16_384)
    }

    /// A default is the value, but the request does not have the option.
    @Test func knowsWhichOptionsARequestHas() throws {
        let plain = try parse("CREATE c dim=4")
        #expect(plain[Verbs.metric] == .dot && plain[Verbs.alpha] == 0.01)
        #expect(plain.has(Verbs.dim) && !plain.has(Verbs.metric) && !plain.has(Verbs.alpha))
        #expect(plain.first(of: [Verbs.alpha, Verbs.metric]) == nil)
        let other = try parse("CREATE c metric=dot dim=4 alpha=1")
        #expect(other.first(of: [Verbs.alpha, Verbs.metric]) === Verbs.alpha)
        let sample = try parse("SAMPLE c 1")
        #expect(sample[Verbs.mix] == nil && sample[Verbs.seed] == nil && !sample[Verbs.unique])
        #expect(try parse("HELLO 1")[Verbs.vectors] == .text)
    }

    @Test func readsEstimates() throws {
        let estimates = try parse("FREQSET c - a 2.5 9 b - 0 c 1e3 -")[.estimates]
        #expect(estimates.ids == strings("a", "b", "c"))
        #expect(estimates.gaps.map(\.description) == ["2.5", "nan", "1000.0"])
        #expect(estimates.counts.map(\.description) == ["9.0", "0.0", "nan"])
    }

    /// An error has the verb for which it is counted.
    @Test func aRefusalHasItsVerb() throws {
        for (line, verb) in [("NOPE", nil), ("", nil), ("GET", 5), ("TOPK c x [1]", 11), ("PING x", 0)]
            as [(String, Int?)]
        {
            let parsed = line.withBytes { bytes in
                Result { () throws(RefusedRequest) -> Request in try TestVerbs.parser().parse(bytes) }
            }
            guard case .failure(let refused) = parsed else {
                Issue.record("\(line) was parsed")
                continue
            }
            #expect(refused.verb == verb)
        }
    }

    @Test(
        arguments: [
            // Spaces and controls.
            ("", .badRequest), (" ", .badRequest), (" PING", .badRequest), ("PING ", .badRequest),
            ("GET  c a", .badRequest),
            ("GET c a ", .badRequest), ("GET c a  b", .badRequest), ("GET c a\tb", .badRequest),
            ("GET c a\u{0}", .badRequest),
            ("GET c a\u{7F}b", .badRequest), ("GET c a\rb", .badRequest), ("\u{0}", .badRequest),
            ("PUT c a [1] ", .badRequest),
            ("PUT c a [1]  {}", .badRequest), ("FSET c a {\"a\":\"\u{0}\"}", .badRequest),
            // Verbs and arity.
            ("NOPE", .unknown), ("PINGPINGPINGPINGPING", .unknown), ("PIN", .unknown), ("PING x", .badRequest),
            ("PING a=b", .badRequest), ("GET", .badRequest), ("GET c", .badRequest), ("PUT c a", .badRequest),
            ("FSET c a", .badRequest), ("HELP a b", .badRequest), ("SCORE c [1]", .badRequest),
            ("TOPK c 3", .badRequest),
            ("TOPK c", .badRequest), ("FREQSET c 1 a 2", .badRequest), ("FREQSET c 1 a 2 3 b", .badRequest),
            ("FREQSET c 1", .badRequest), ("TOPK c 3 [1] [2]", .badRequest), ("TOPK c 3 like=a [1]", .badRequest),
            ("TOPK c 3 [1] like=a", .badRequest), ("HELLO", .badRequest), ("HELLO 2", .badRequest),
            ("HELLO x", .badRequest),
            // Names, steps, k.
            ("GET c.d a", .badRequest), ("GET é a", .badRequest), ("OBSERVE c x a", .badRequest),
            ("OBSERVE c -1 a", .badRequest),
            ("OBSERVE c 9223372036854775808 a", .badRequest), ("TOPK c 0 [1]", .badRequest),
            ("TOPK c -1 [1]", .badRequest),
            ("TOPK c 1.5 [1]", .badRequest), ("TOPK c 10001 [1]", .limit), ("TOPK c 9223372036854775808 [1]", .limit),
            ("TOPK c 99999999999999999999999 [1]", .limit),
            ("SAMPLE c", .badRequest), ("SAMPLE c 0", .badRequest), ("SAMPLE c -1", .badRequest),
            ("SAMPLE c x", .badRequest), ("SAMPLE c 16385", .limit), ("SAMPLE c 9223372036854775808", .limit),
            // Options.
            ("CREATE c", .badRequest), ("CREATE c metric=l2", .badRequest), ("CREATE c 64", .badRequest),
            ("CREATE c dim=0", .badRequest), ("CREATE c dim=x", .badRequest), ("CREATE c dim=", .badRequest),
            ("CREATE c dim=4097", .limit), ("CREATE c dim=4 dim=4", .badRequest), ("CREATE c dim=4 DIM=4", .badRequest),
            ("CREATE c dim=4 nope=1", .badRequest), ("CREATE c dim=4 metric=L2", .badRequest),
            ("CREATE c dim=4 alpha=0", .badRequest), ("CREATE c dim=4 alpha=1.5", .badRequest),
            ("CREATE c dim=4 alpha=nan", .badRequest), ("CREATE c dim=4 alpha=1e400", .badRequest),
            ("GET c a=b c", .badRequest), ("TOPK c 3 with=nope [1]", .badRequest),
            ("TOPK c 3 with=logq,logq [1]", .badRequest),
            ("TOPK c 3 with=, [1]", .badRequest), ("SCAN c limit=0", .badRequest), ("SCAN c limit=16385", .limit),
            ("SCAN c after=4294967296", .badRequest), ("SCAN c after=-1", .badRequest),
            ("OBSERVE c 1 seq=w a", .badRequest),
            ("OBSERVE c 1 seq=w:0 a", .badRequest), ("OBSERVE c 1 seq=:1 a", .badRequest),
            ("OBSERVE c 1 seq=a.b:1 a", .badRequest),
            ("OBSERVE c 1 seq=w:9223372036854775808 a", .badRequest), ("FGET c fields=, a", .badRequest),
            ("FGET c fields=%zz a", .badRequest),
            ("SAMPLE c 1 mix=", .badRequest), ("SAMPLE c 1 mix=1", .badRequest), ("SAMPLE c 1 mix=1:", .badRequest),
            ("SAMPLE c 1 mix=:1", .badRequest), ("SAMPLE c 1 mix=1:2:3", .badRequest),
            ("SAMPLE c 1 mix=0:0", .badRequest), ("SAMPLE c 1 mix=-1:2", .badRequest),
            ("SAMPLE c 1 mix=1:-2", .badRequest), ("SAMPLE c 1 mix=1:1e400", .badRequest),
            ("SAMPLE c 1 mix=nan:1", .badRequest), ("SAMPLE c 1 mix=x:1", .badRequest),
            ("SAMPLE c 1 seed=-1", .badRequest), ("SAMPLE c 1 seed=18446744073709551616", .badRequest),
            // Ids.
            ("GET c a b=c", .badID), ("GET c a,b", .badID), ("GET c %", .badID), ("GET c a%2", .badID),
            ("GET c %gg", .badID),
            ("PUT c a,b [1]", .badID), ("TOPK c 3 except=a,,b [1]", .badID), ("TOPK c 3 except=, [1]", .badID),
            ("TOPK c 3 like= ", .badID), ("FREQSET c 1 a=b 1 1", .badRequest), ("FREQSET c 1 a 1 1 b=c 1 1", .badID),
            // Vectors and estimates.
            ("PUT c a [nan]", .badVector), ("PUT c a 1,2", .badVector), ("TOPK c 3 x", .badVector),
            ("PUT c a f32:AA", .badVector),
            ("FREQSET c 1 a 0 1", .badRequest), ("FREQSET c 1 a -1 1", .badRequest),
            ("FREQSET c 1 a inf 1", .badRequest),
            ("FREQSET c 1 a 1 -1", .badRequest), ("FREQSET c 1 a 1 9007199254740993e1", .badRequest),
            // JSON.
            ("FSET c a []", .badRequest), ("FSET c a {\"a\":1,\"a\":1}", .badRequest), ("PUT c a [1] x", .badRequest),
        ] as [(String, WireErrorCode)]
    )
    func refuses(line: String, code: WireErrorCode) {
        #expect { try parse(line) } throws: { error in
            let error = error as? WireError
            #expect(error?.message.utf8.contains { $0 < 0x20 || $0 == 0x7F } == false)
            return error?.code == code
        }
    }

    @Test func boundsIDs() throws {
        #expect(try parse("GET c a b c", idsMax: 3)[.ids].count == 3)
        #expect(try parse("TOPK c 1 except=a,b like=c", idsMax: 3)[Verbs.except].count == 2)
        for line in ["GET c a b c d", "TOPK c 1 except=a,b,c,d [1]", "FREQSET c 1 a 1 1 b 1 1 c 1 1 d 1 1"] {
            #expect { try parse(line, idsMax: 3) } throws: { ($0 as? WireError)?.code == .limit }
        }
        let long = String(repeating: "x", count: 256)
        #expect { try parse("GET c a \(long)") } throws: { ($0 as? WireError)?.code == .badID }
        #expect { try parse("GET c \(long) a") } throws: { ($0 as? WireError)?.code == .badID }
    }

    @Test(arguments: [
        ("GET c", "got 1 word after GET, expected GET c id..."),
        ("CREATE c dim=4 nope=1", "got option 'nope', expected dim= metric= alpha="),
        ("GET c a  b", "got two spaces at byte 8 of the line, expected one space between words"),
        ("GET c a ", "got a trailing space at byte 8 of the line, expected one space between words"),
        (" GET", "got a leading space at byte 1 of the line, expected one space between words"),
        ("GET c a\tb", "got control byte 0x09 at byte 8 of the line"),
        ("HELLO 2", "got protocol 2, expected 1"), ("PING x", "got 'x' too many, expected PING"),
        ("TOPK c 9223372036854775808 [1]", "got k 9223372036854775808, expected at most 10000"),
        ("SAMPLE c 0", "got n '0', expected 1 to 16384"), ("SAMPLE c 16385", "got n 16385, expected at most 16384"),
        (
            "SAMPLE c 1 mix=1:-2",
            "got mix='1:-2', expected two numbers as B:B', neither below 0, not both 0"
        ),
        ("GET c a b=c", "got id 'b=c' with a raw byte that is written %3D (options stand before the ids)"),
    ])
    func statesTheGotAndTheExpectedValue(line: String, message: String) {
        #expect { try parse(line) } throws: { ($0 as? WireError)?.message == message }
    }

    /// Words are scanned eight bytes at a time. A control byte or a space must be found at every position, and nowhere
    /// else.
    @Test func seesControlBytesAnywhereInALongWord() {
        for length in 1...20 {
            for place in 0..<length {
                for byte in UInt8.min...UInt8.max {
                    var word = [UInt8](repeating: UInt8(ascii: "x"), count: length)
                    word[place] = byte
                    let found = word.withBytes { bytes -> Int? in
                        var words = LineWords(bytes)
                        return (try? words.next())?.count
                    }
                    switch byte {
                    case 0..<0x20, 0x7F: #expect(found == nil)
                    case 0x20: #expect(found == (place == 0 ? nil : place))
                    default: #expect(found == length)
                    }
                }
            }
        }
    }

    @Test func usageComesFromTheSyntax() {
        let usages = TestVerbs.syntaxes.map(\.usage)
        #expect(usages.contains("CREATE c dim=n [metric=dot|l2] [alpha=x]"))
        #expect(usages.contains("TOPK c k [except=id,...] [with=vector,logq,features] vector|like=id"))
        #expect(usages.contains("PUT c id vector [json]"))
        #expect(usages.contains("HELLO 1 [vectors=text|f32]"))
    }

    /// The fast path for lists and the word-by-word path give the same result for every list.
    @Test func bothWaysToReadIDsAgree() {
        var random = SeededGenerator()
        let alphabet = Array("aZ9 %=,-é\u{1}4f".utf8)
        for _ in 0..<20_000 {
            let line = (0..<Int.random(in: 1...30, using: &random)).map { _ in alphabet.randomElement(using: &random)! }
            let wordByWord = line.withBytes { bytes in
                Result { () throws(WireError) -> PackedStrings in
                    var ids = PackedStrings()
                    var words = LineWords(bytes)
                    while let word = try words.next() { try IDText.decode(word, into: &ids) }
                    return ids
                }
            }
            let list = line.withBytes { bytes in
                Result { () throws(WireError) -> PackedStrings in
                    var words = LineWords(bytes)
                    var ids = PackedStrings()
                    try words.readIDs(into: &ids, countMax: 100, limit: 100)
                    return ids
                }
            }
            switch (wordByWord, list) {
            case (.success(let one), .success(let other)): #expect(one == other)
            case (.failure(let one), .failure(let other)): #expect(one == other)
            default: Issue.record("\(line): \(wordByWord) and \(list)")
            }
        }
    }
}
