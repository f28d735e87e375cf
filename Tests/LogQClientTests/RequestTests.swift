import NIOCore
import Testing
import WireProtocol

@testable import LogQClient

/// Every request as a line, and every reply as a value. The texts are those of PROTOCOL.md.
@Suite struct RequestTests {
    private func line<Reply>(_ request: LogQRequest<Reply>) throws -> String {
        var writer = RequestWriter(vectorFormat: .base64)
        try request.line.write(to: &writer)
        return String(buffer: writer.buffer)
    }

    private func reply<Reply>(_ request: LogQRequest<Reply>, _ text: String) throws -> Reply {
        var decoder = ReplyDecoder(replyBytesMax: 1 << 20)
        decoder.append(ByteBuffer(string: text))
        let reply = try #require(try decoder.next())
        return try request.reply(from: .success(reply))
    }

    private let vector: [Float] = [1, 0]

    @Test func linesOfTheServerVerbs() throws {
        #expect(try line(.ping()) == "PING\n")
        #expect(try line(.quit()) == "QUIT\n")
        #expect(try line(.hello()) == "HELLO 1 vectors=f32\n")
        #expect(try line(.help()) == "HELP\n")
        #expect(try line(.help("topk")) == "HELP topk\n")
        #expect(try line(.info()) == "INFO\n")
        #expect(try line(.info("memory")) == "INFO memory\n")
        #expect(try line(.create("songs", dimension: 2)) == "CREATE songs dim=2 metric=dot\n")
        #expect(
            try line(.create("songs", dimension: 64, metric: .l2, alpha: 0.05))
                == "CREATE songs dim=64 metric=l2 alpha=0.05\n"
        )
        #expect(
            try line(.create("songs", dimension: 2, ifMissing: true))
                == "CREATE songs dim=2 metric=dot if_missing=true\n"
        )
        #expect(try line(.drop("songs")) == "DROP songs\n")
        #expect(try line(.swap("songs", "songs-next")) == "SWAP songs songs-next\n")
        #expect(throws: LogQError.self) { try line(.swap("songs", "songs next")) }
        #expect(try line(.collections()) == "COLLECTIONS\n")
    }

    @Test func linesOfTheItemVerbs() throws {
        #expect(try line(.put("songs", "help!", vector)) == "PUT songs help! f32:AACAPwAAAAA=\n")
        #expect(
            try line(.put("songs", "let it be", vector, features: #"{"year": 1970}"#))
                == "PUT songs let%20it%20be f32:AACAPwAAAAA= {\"year\": 1970}\n"
        )
        #expect(try line(.get("songs", ["a", "b=c"])) == "GET songs a b%3Dc\n")
        #expect(try line(.delete("songs", ["a"])) == "DEL songs a\n")
        #expect(try line(.scan("songs")) == "SCAN songs\n")
        #expect(try line(.scan("songs", after: 0, limit: 9)) == "SCAN songs after=0 limit=9\n")
        #expect(try line(.setFeatures("songs", "a", "{}")) == "FSET songs a {}\n")
        #expect(try line(.mergeFeatures("songs", "a", "{}")) == "FSET songs a merge=true {}\n")
        #expect(try line(.features("songs", ["a"])) == "FGET songs a\n")
        #expect(try line(.features("songs", ["a"], fields: ["by", "x,y"])) == "FGET songs fields=by,x%2Cy a\n")
        #expect(try line(.topK("songs", 2, nearest: .vector(vector))) == "TOPK songs 2 f32:AACAPwAAAAA=\n")
        #expect(
            try line(.topK("songs", 2, nearest: .like("a b"), except: ["c,", "d"], with: [.features, .vector, .logQ]))
                == "TOPK songs 2 except=c%2C,d with=vector,logq,features like=a%20b\n"
        )
        #expect(
            try line(
                .topK(
                    "songs",
                    400,
                    nearest: .like("a"),
                    ranks: 101...500,
                    radius: -0.25,
                    except: ["b"],
                    with: .vector,
                    timeout: .milliseconds(250)
                )
            )
                == "TOPK songs 400 range_min=101 range_max=500 radius=-0.25 except=b with=vector timeout_ms=250 "
                + "like=a\n"
        )
        #expect(
            try line(
                .topK(
                    "songs",
                    400,
                    nearest: .like("a"),
                    strength: -0.5,
                    except: ["b"],
                    margin: 0.05,
                    sample: .random(20, seed: .max),
                    with: [.rank, .logQ]
                )
            )
                == "TOPK songs 400 strength=-0.5 except=b margin=0.05 sample=20 strategy=random "
                + "seed=18446744073709551615 with=rank,logq like=a\n"
        )
        #expect(try line(.topK("c", 5, nearest: .like("a"), sample: .top(2))) == "TOPK c 5 sample=2 like=a\n")
        #expect(
            try line(.topK("c", 5, nearest: .like("a"), sample: .random(2)))
                == "TOPK c 5 sample=2 strategy=random like=a\n"
        )
        #expect(try line(.score("songs", vector, ["a"])) == "SCORE songs f32:AACAPwAAAAA= a\n")
    }

    @Test(arguments: [
        (Duration.seconds(60), "60000"), (.milliseconds(1), "1"), (.microseconds(1), "1"), (.microseconds(1_001), "2"),
        (.zero, "0"), (.milliseconds(-1_500), "-1500"), (.seconds(Int64.max), "1000000000000"),
    ])
    func timeoutsAreWholeMilliseconds(_ timeout: Duration, _ expected: String) throws {
        let words = try line(.topK("c", 1, nearest: .like("a"), timeout: timeout)).split(separator: " ")
        #expect(words.contains("timeout_ms=\(expected)"))
    }

    @Test func linesOfTheFrequencyVerbs() throws {
        #expect(try line(.observe("songs", step: 100, ids: ["a", "b", "a"])) == "OBSERVE songs 100 a b a\n")
        #expect(
            try line(
                .observe("songs", step: nil, ids: ["a"], sequence: ProducerSequence(producer: "worker-1", number: 7))
            ) == "OBSERVE songs - seq=worker-1:7 a\n"
        )
        let updates = [FrequencyUpdate("a", gap: 4, count: 9), FrequencyUpdate("b", gap: 2.5), FrequencyUpdate("c")]
        #expect(try line(.setFrequencies("songs", step: 200, updates)) == "FREQSET songs 200 a 4 9 b 2.5 - c - -\n")
        #expect(
            try line(.observe("songs", step: 3, ids: ["a", "a b"], returning: .p))
                == "OBSERVE songs 3 return=logq unit=p a a%20b\n"
        )
        let sequence = ProducerSequence(producer: "w", number: 7)
        #expect(
            try line(
                .observe(
                    "songs",
                    step: nil,
                    ids: ["a"],
                    returning: .expected(batch: 8),
                    strength: 2,
                    sequence: sequence
                )
            ) == "OBSERVE songs - seq=w:7 return=logq unit=expected batch=8 strength=2 a\n"
        )
        #expect(try line(.logQ("songs", ids: ["a"])) == "LOGQ songs unit=q a\n")
        #expect(
            try line(.logQ("songs", ids: ["a"], unit: .expected(batch: 20), strength: 0.5))
                == "LOGQ songs unit=expected batch=20 strength=0.5 a\n"
        )
        #expect(try line(.frequencies("songs", ids: ["a"], batch: 4)) == "FREQ songs batch=4 a\n")
    }

    @Test func linesOfSample() throws {
        #expect(try line(.sample("songs", 5)) == "SAMPLE songs 5 by=uniform\n")
        #expect(
            try line(.sample("songs", 5, unique: true, insist: true))
                == "SAMPLE songs 5 by=uniform unique=true insist=true\n"
        )
        #expect(
            try line(.sample("songs", 5, by: .frequency(power: 0.75), unique: true, except: ["a b", "c"], seed: .max))
                == "SAMPLE songs 5 by=frequency power=0.75 unique=true except=a%20b,c seed=18446744073709551615\n"
        )
        #expect(
            try line(
                .sample(
                    "songs",
                    16_384,
                    by: .mixed(inBatch: 3, uniform: 0.5),
                    with: [.features, .logQ, .vector],
                    timeout: .seconds(2)
                )
            )
                == "SAMPLE songs 16384 by=mixed power=1 mix=3:0.5 with=vector,logq,features timeout_ms=2000\n"
        )
        #expect(try line(.sample("songs", 5, by: .recent, with: .logQ)) == "SAMPLE songs 5 by=recent with=logq\n")
    }

    @Test func anyIDStaysOneWord() throws {
        for byte in UInt8.min...UInt8.max {
            let id = ItemID([byte, 0x61, byte])
            var writer = RequestWriter(vectorFormat: .base64)
            try LogQRequest.get("c", [id]).line.write(to: &writer)
            let bytes = Array(writer.buffer.readableBytesView)
            #expect(bytes.filter { $0 == 0x20 }.count == 2 && bytes.filter { $0 == 0x0A }.count == 1)
            // The id reads back as it was written.
            var decoder = ReplyDecoder(replyBytesMax: 1 << 20)
            decoder.append(ByteBuffer(bytes: Array("OK 1\n7 ".utf8) + bytes.dropFirst(6)))
            let reply = try #require(try decoder.next())
            #expect(try LogQRequest.scan("c").reply(from: .success(reply)) == [ScannedItem(row: 7, id: id)])
        }
    }

    @Test func textThatWouldBreakALineIsRefusedBeforeItIsSent() {
        func code<Reply>(_ request: LogQRequest<Reply>) -> LogQError.Code? {
            do {
                _ = try line(request)
                return nil
            } catch {
                return (error as? LogQError)?.code
            }
        }
        #expect(code(.drop("a b")) == .badRequest)
        #expect(code(.drop("a\nDROP b")) == .badRequest)
        #expect(code(.drop("")) == .badRequest)
        #expect(code(.drop(String(repeating: "a", count: 65))) == .badRequest)
        #expect(code(.info("a\n")) == .badRequest)
        #expect(code(.help("get\n")) == .badRequest)
        #expect(code(.get("c", [""])) == .badID)
        #expect(code(.get("c", [ItemID(Array(repeating: 0x61, count: 256))])) == .badID)
        #expect(code(.topK("c", 1, nearest: .like(""))) == .badID)
        #expect(code(.topK("c", 1, nearest: .like("a"), except: ["b", ""])) == .badID)
        #expect(code(.topK("c", 1, nearest: .like("a"), radius: .infinity)) == .badRequest)
        #expect(code(.topK("c", 1, nearest: .like("a"), radius: .nan)) == .badRequest)
        #expect(code(.topK("c", 1, nearest: .like("a"), except: ["b"], margin: .infinity)) == .badRequest)
        #expect(code(.sample("c", 1, by: .frequency(power: .nan))) == .badRequest)
        #expect(code(.sample("c", 1, by: .mixed(inBatch: .infinity, uniform: 1))) == .badRequest)
        #expect(code(.sample("c", 1, by: .mixed(inBatch: 1, uniform: .nan))) == .badRequest)
        #expect(code(.sample("c", 1, except: ["a", ""])) == .badID)
        #expect(
            code(.observe("c", step: 1, ids: ["a"], sequence: .init(producer: "a b", number: 1))) == .badRequest
        )
    }

    @Test func jsonOverSeveralLinesBecomesOne() throws {
        #expect(try line(.setFeatures("c", "a", "{\r\n  \"x\": 1\n}")) == "FSET c a {    \"x\": 1 }\n")
    }

    @Test func repliesOfTheServerVerbs() throws {
        try reply(.ping(), "OK 0\n")
        let hello = try reply(.hello(), "OK 3\nserver logqd\nversion 1.0 beta\nempty\n")
        #expect(hello["version"] == "1.0 beta")
        #expect(hello["empty"] == "")
        #expect(hello["nothing"] == nil)
        #expect(try reply(.help(), "OK 1\nPING -- answer OK\n") == ["PING -- answer OK"])
        #expect(
            try reply(
                .collections(),
                """
                OK 2
                songs dim=2 metric=cosine alpha=0.01 items=3 ids=4 half_life=2.5 recent=16384 max_ids=- \
                buckets=- hashes=-
                urls dim=1 metric=dot alpha=0.1 items=0 ids=0 half_life=- recent=0 max_ids=- buckets=5000 hashes=2

                """
            ) == [
                CollectionDescription(
                    name: "songs",
                    dimension: 2,
                    metric: .cosine,
                    alpha: 0.01,
                    itemCount: 3,
                    idCount: 4,
                    halfLife: 2.5,
                    recentCount: 16_384,
                    idCountMax: nil,
                    sketch: nil
                ),
                CollectionDescription(
                    name: "urls",
                    dimension: 1,
                    metric: .dot,
                    alpha: 0.1,
                    itemCount: 0,
                    idCount: 0,
                    halfLife: nil,
                    recentCount: 0,
                    idCountMax: nil,
                    sketch: Sketch(bucketCount: 5_000, hashCount: 2)
                ),
            ]
        )
    }

    @Test func repliesOfTheItemVerbs() throws {
        let embeddings = try reply(
            .get("c", ["a", "b", "c", "d"]),
            "OK 4\na -\nb [1,0.5]\nc -\nd f32:AACAPwAAAAA=\n"
        )
        #expect(embeddings.map { $0.map { Array($0) } } == [nil, [1, 0.5], nil, [1, 0]])
        #expect(embeddings.values == [0, 0, 1, 0.5, 0, 0, 1, 0])
        #expect(try reply(.get("c", ["a"]), "OK 1\na -\n").dimension == 0)
        #expect(try reply(.delete("c", ["a", "b"]), "OK 2\na 1\nb 0\n") == [true, false])
        #expect(
            try reply(.scan("c"), "OK 2\n0 yesterday\n4294967295 let%20it%20be\n") == [
                ScannedItem(row: 0, id: "yesterday"), ScannedItem(row: 4_294_967_295, id: "let it be"),
            ]
        )
        #expect(
            try reply(.features("c", ["a", "b"]), "OK 2\na {\"by\":\"The Beatles\"}\nb -\n") == [
                #"{"by":"The Beatles"}"#, nil,
            ]
        )
        #expect(try reply(.score("c", vector, ["a", "b"]), "OK 2\na 1.5\nb -\n") == [1.5, nil])
    }

    @Test func repliesOfTopK() throws {
        let plain = try reply(.topK("c", 2, nearest: .vector(vector)), "OK 1\na%20b -1e-5\n")
        #expect(plain == [Neighbor(id: "a b", score: -1e-5, rank: nil, vector: nil, logQ: nil, features: nil)])
        let ranked = try reply(
            .topK("c", 2, nearest: .vector(vector), with: [.logQ, .rank]),
            "OK 1\na 1 407 -2.5\n"
        )
        #expect(ranked == [Neighbor(id: "a", score: 1, rank: 407, vector: nil, logQ: -2.5, features: nil)])
        let all = try reply(
            .topK("c", 2, nearest: .vector(vector), with: [.vector, .logQ, .features]),
            "OK 2\na 1 [1,0.5] -0.5 {\"by\":\"The Beatles\"}\nb 1 f32:AACAPwAAAAA= -2 -\n"
        )
        #expect(
            all == [
                Neighbor(
                    id: "a",
                    score: 1,
                    rank: nil,
                    vector: [1, 0.5],
                    logQ: -0.5,
                    features: #"{"by":"The Beatles"}"#
                ),
                Neighbor(id: "b", score: 1, rank: nil, vector: [1, 0], logQ: -2, features: nil),
            ]
        )
    }

    @Test func repliesOfSample() throws {
        let plain = try reply(.sample("c", 2), "OK 1\na%20b 0.25 0.5\n")
        #expect(plain == [SampledItem(id: "a b", q: 0.25, expected: 0.5, vector: nil, logQ: nil, features: nil)])
        let all = try reply(
            .sample("c", 2, with: [.vector, .logQ, .features]),
            "OK 2\na 0.25 0.5 [1,0.5] -0.5 {\"by\":\"The Beatles\"}\nb 1e-5 2e-5 f32:AACAPwAAAAA= -2 -\n"
        )
        #expect(
            all == [
                SampledItem(
                    id: "a",
                    q: 0.25,
                    expected: 0.5,
                    vector: [1, 0.5],
                    logQ: -0.5,
                    features: #"{"by":"The Beatles"}"#
                ), SampledItem(id: "b", q: 1e-5, expected: 2e-5, vector: [1, 0], logQ: -2, features: nil),
            ]
        )
        #expect(try reply(.sample("c", 2), "OK 0\n").isEmpty)
        #expect(throws: LogQError.self) { try reply(.sample("c", 2), "OK 1\na 0.25\n") }
    }

    @Test func popularHasAPlace() throws {
        #expect(try line(.popular("c", 10)) == "POPULAR c 10\n")
        let odd = PopularID("a, b", count: 0.1 + 0.2, step: .max)
        #expect(
            try line(.popular("c", 10, after: odd, timeout: .milliseconds(250)))
                == "POPULAR c 10 after=a%2C%20b,0.30000000000000004,9223372036854775807 timeout_ms=250\n"
        )
        let none = PopularID("a", count: 0, step: nil)
        #expect(try line(.popular("c", 10, after: none)) == "POPULAR c 10 after=a,0,-\n")
        #expect(throws: LogQError.self) { try line(.popular("c", 1, after: PopularID("", count: 1, step: 1))) }
        #expect(throws: LogQError.self) { try line(.popular("c", 1, after: PopularID("a", count: .nan, step: 1))) }
        #expect(
            try reply(.popular("c", 2), "OK 2\na%2C%20b 0.30000000000000004 9223372036854775807\na 0 -\n")
                == [odd, none]
        )
        #expect(throws: LogQError.self) { try reply(.popular("c", 2), "OK 1\na 1\n") }
    }

    @Test func repliesOfTheFrequencyVerbs() throws {
        let values = try reply(.logQ("c", ids: ["a", "b"]), "OK 2\na -0.6931471805599453 seen\nb -2.5 unseen\n")
        #expect(values.map(\.value) == [-0.6931471805599453, -2.5])
        #expect(values.map(\.state) == [.seen, .unseen])
        let frequencies = try reply(
            .frequencies("c", ids: ["a", "b"], batch: 4),
            """
            OK 2
            apple q=0.5 p=0.6666666666666666 expected=2 gap=1.5 count=4 last=4 state=seen
            kiwi q=0.0625 p=0.125 expected=- gap=- count=0 last=- state=unseen

            """
        )
        #expect(
            frequencies[0]
                == Frequency(
                    q: 0.5,
                    p: 0.6666666666666666,
                    expected: 2,
                    gap: 1.5,
                    count: 4,
                    lastStep: 4,
                    state: .seen
                )
        )
        #expect(frequencies[1].gap == nil && frequencies[1].expected == nil && frequencies[1].lastStep == nil)
    }

    @Test(arguments: ["OK 0\n", "OK 1\na\n", "OK 1\na x\n", "OK 1\na [1,\n", "OK 2\na [1]\nb [1,2]\n", "OK 1\n\n"])
    func aReplyThatDoesNotFitIsAnError(text: String) throws {
        let ids: [ItemID] = text.hasPrefix("OK 2") ? ["a", "b"] : ["a"]
        let error = #expect(throws: LogQError.self) { try reply(.get("c", ids), text) }
        #expect(error?.code == .badReply)
        #expect(error?.request == "GET c")
    }

    @Test func errorsOfTheServerAreTyped() throws {
        let error = #expect(throws: LogQError.self) {
            try reply(.put("c", "a", vector), "ERR DIM got 2 numbers, expected 64\n")
        }
        #expect(error == LogQError(.dimension, "got 2 numbers, expected 64", request: "PUT c"))
        #expect(error.map { "\($0)" } == "PUT c: DIM: got 2 numbers, expected 64")
        let unknown = #expect(throws: LogQError.self) { try reply(.ping(), "ERR TEAPOT short and stout\n") }
        #expect(unknown?.code == .other("TEAPOT"))
        #expect(unknown?.code.text == "TEAPOT")
        for code in WireErrorCode.allCases {
            let typed = LogQError.Code(word: code.rawValue)
            #expect(typed != .other(code.rawValue))
            #expect(typed.text == code.rawValue)
            #expect(typed.isFromServer)
        }
    }
}
