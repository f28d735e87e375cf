import PackedStrings
import TestSupport
import Testing

@testable import JSONObject

struct JSONTextTests {
    private func minified(_ text: String) throws(JSONError) -> String {
        try minified(Array(text.utf8))
    }

    private func minified(_ text: [UInt8]) throws(JSONError) -> String {
        String(
            decoding: try text.withBytes { bytes throws(JSONError) in try JSONText.minifiedObject(bytes) },
            as: UTF8.self
        )
    }

    /// The kinds of errors for a refused text.
    private enum Refusal {
        case malformed, repeatedKey, tooDeep, tooLong
    }

    private func refusal(_ text: String) -> Refusal? {
        refusal(Array(text.utf8))
    }

    private func refusal(_ text: [UInt8]) -> Refusal? {
        do throws(JSONError) {
            _ = try minified(text)
            return nil
        } catch {
            switch error {
            case .malformed: return .malformed
            case .repeatedKey: return .repeatedKey
            case .tooDeep: return .tooDeep
            case .tooLong: return .tooLong
            }
        }
    }

    @Test(arguments: [
        ("{}", "{}"), (" {\t} ", "{}"), (#"{ "a" : 1 , "b" : [ 1 , 2 ] }"#, #"{"a":1,"b":[1,2]}"#),
        (#"{"a b": " x  y "}"#, #"{"a b":" x  y "}"#), (#"{"n":-0.5e+10,"t":true,"f":false,"z":null}"#, nil),
        (#"{"a":{"a":{"a":{}}},"b":[[],[[]]]}"#, nil), (#"{"é":"\u00e9\"\\\/\b\f\n\r\t","😀":"\ud83d\ude00"}"#, nil),
        (#"{"":0}"#, nil), (#"{"a":0,"A":0,"a ":0}"#, nil), ("{\"a\":\"\u{7F}\"}", nil),
    ])
    func minifies(text: String, expected: String?) throws {
        #expect(try minified(text) == expected ?? text)
    }

    @Test(arguments: [
        "", " ", "1", "[]", "[{}]", "\"a\"", "null", "{", "}", "{}}", "{} x", "{a:1}", "{'a':1}", #"{"a"}"#, #"{"a":}"#,
        #"{"a":1,}"#, #"{,"a":1}"#, #"{"a":1 "b":2}"#, #"{"a":[1,]}"#, #"{"a":[1 2]}"#, #"{"a":[}"#, #"{"a":{]}"#,
        #"{"a":01}"#, #"{"a":+1}"#, #"{"a":1.}"#, #"{"a":.5}"#, #"{"a":1e}"#, #"{"a":-}"#, #"{"a":NaN}"#,
        #"{"a":tru}"#, #"{"a":True}"#, #"{"a":"x}"#, #"{"a":"\x"}"#, #"{"a":"\u12g4"}"#, #"{"a":"\u12"#, #"{"a":"\"#,
        "{\"a\":\"\t\"}", "{\"a\":\"\u{1}\"}", "{\u{B}}", "{\u{0}}", "\u{FEFF}{}", "{\"a\":1}\u{0}", "{\"a\":1//x\n}",
    ])
    func refusesTextThatIsNotAnObject(text: String) {
        #expect(refusal(text) == .malformed)
    }

    @Test(
        arguments: [
            [0x80], [0xC0, 0x80], [0xC1, 0xBF], [0xC3], [0xE0, 0x80, 0x80], [0xE2, 0x82], [0xED, 0xA0, 0x80],
            [0xF0, 0x80, 0x80, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xFF], [0xE2, 0x28, 0xA1],
        ] as [[UInt8]]
    )
    func refusesBytesThatAreNotUTF8(bytes: [UInt8]) {
        #expect(refusal(Array("{\"a\":\"".utf8) + bytes + Array("\"}".utf8)) == .malformed)
        #expect(refusal(Array("{\"".utf8) + bytes + Array("\":1}".utf8)) == .malformed)
    }

    @Test(arguments: [
        #"{"a":1,"a":2}"#, #"{"a":1,"b":2,"a":3}"#, #"{"x":{"a":1,"a":2}}"#, #"{"x":[{"y":[{"a":1,"a":2}]}]}"#,
        #"{"a":1,"\u0061":2}"#, #"{"\u0061":1,"a":2}"#, #"{"\u00E9":1,"é":2}"#, #"{"\ud83d\ude00":1,"😀":2}"#,
        #"{"\/":1,"/":2}"#, #"{"\n":1,"\u000a":2}"#, #"{"\ud800":1,"\uD800":2}"#, #"{"x":{"a":1},"y":1,"x":2}"#,
        #"{"":1,"":2}"#,
    ])
    func refusesAKeyTwiceInOneObject(text: String) {
        #expect(refusal(text) == .repeatedKey)
    }

    @Test(arguments: [
        #"{"a":{"a":1},"b":{"a":1}}"#, #"{"a":[{"a":1},{"a":1}]}"#, #"{"a":1,"\\u0061":2}"#,
        #"{"\u0062":{"b":1},"a":1}"#,
        #"{"\ud800":1,"\ud801":2}"#, #"{"\u0061":{"\u0062":1},"\u0062":1}"#,
    ])
    func allowsAKeyOnceInEachObject(text: String) throws {
        #expect(try minified(text) == text)
    }

    /// Random nested objects, compared with a set of the keys of each object.
    @Test func findsRepeatedKeysAmongMany() throws {
        var random = SeededGenerator()
        var repeatCount = 0
        func object(_ memberCount: Int, _ depth: Int, _ isRepeated: inout Bool) -> String {
            var seen: Set<Int> = []
            let members = (0..<memberCount).map { _ in
                let key = Int.random(in: 0..<memberCount * memberCount * 4 + 1, using: &random)
                if !seen.insert(key).inserted { isRepeated = true }
                let isNested = depth < 3 && Int.random(in: 0..<memberCount, using: &random) < 2
                let value = isNested ? object(memberCount / 2, depth + 1, &isRepeated) : "0"
                return "\"\(key)\":\(value)"
            }
            return "{" + members.joined(separator: ",") + "}"
        }
        for round in 0..<400 {
            var isRepeated = false
            let text = object(round % 40 == 0 ? 400 : Int.random(in: 1...30, using: &random), 0, &isRepeated)
            if isRepeated { repeatCount += 1 }
            #expect(refusal(text) == (isRepeated ? .repeatedKey : nil), "\(text)")
        }
        #expect((20...380).contains(repeatCount), "\(repeatCount)")
    }

    @Test func boundsLengthAndDepth() throws {
        let longest = "{\"a\":\"" + String(repeating: "x", count: 65_535 - 8) + "\"}"
        #expect(try minified("  " + longest + "  ") == longest)
        #expect(refusal("{\"a\":\"" + String(repeating: "x", count: 65_535 - 7) + "\"}") == .tooLong)
        func nested(_ depth: Int) -> String {
            "{\"a\":" + String(repeating: "[", count: depth - 1) + String(repeating: "]", count: depth - 1) + "}"
        }
        #expect(try minified(nested(64)) == nested(64))
        #expect(refusal(nested(65)) == .tooDeep)
        #expect(refusal(nested(1_900)) == .tooDeep)
        #expect(refusal(String(repeating: "{\"a\":", count: 100_000)) == .tooDeep)
    }

    @Test(arguments: [
        ("a", #"{"a":1}"#), ("b", #"{"b":{"a":[1,"}"]}}"#), ("b,a", #"{"a":1,"b":{"a":[1,"}"]}}"#), ("z", "{}"),
        ("c\"", #"{"c\"":"x"}"#), ("é", #"{"\u00e9":null}"#), ("a,é", #"{"a":1,"\u00e9":null}"#),
    ])
    func selectsFields(keys: String, expected: String) {
        let object = #"{"a":1,"b":{"a":[1,"}"]},"c\"":"x","\u00e9":null}"#
        var selected = PackedStrings()
        let keys = PackedStrings(keys.split(separator: ",").map { Array($0.utf8) })
        object.withBytes { JSONText.select(JSONKeys(keys), from: $0, into: &selected) }
        #expect(String(decoding: selected[0], as: UTF8.self) == expected)
        "{}".withBytes { JSONText.select(JSONKeys(keys), from: $0, into: &selected) }
        #expect(String(decoding: selected[1], as: UTF8.self) == "{}")
    }

    /// Each key of the request must not be compared with each key of each object. That would take a hundred million
    /// comparisons.
    @Test func selectsManyFieldsOfManyObjectsInLittleTime() {
        let object = "{" + (0..<430).map { "\"\($0 + 1_000)\":1" }.joined(separator: ",") + "}"
        let keys = JSONKeys(PackedStrings(((0..<1_000).map { "x\($0)" } + ["1429"]).map { Array($0.utf8) }))
        var selected = PackedStrings()
        let duration = ContinuousClock().measure {
            for _ in 0..<250 { object.withBytes { JSONText.select(keys, from: $0, into: &selected) } }
        }
        #expect(selected == PackedStrings(Array(repeating: Array("{\"1429\":1}".utf8), count: 250)))
        #expect(duration < .seconds(5))
    }

    /// Minifying ends for any bytes. Minifying an accepted text again changes nothing.
    @Test func survivesRandomEdits() {
        var random = SeededGenerator()
        let start = Array(#"{"a":[1,-2.5e3,true,{"b":"\u00e9é","c":null}],"d":{"e":""},"f":"x\\"}"#.utf8)
        let alphabet = Array("{}[]\",:\\ue0123456789.-+ tfn\u{0}\u{7F}é".utf8)
        for _ in 0..<20_000 {
            var text = start
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let at = Int.random(in: 0..<text.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: text[at] = alphabet.randomElement(using: &random)!
                case 1: text.remove(at: at)
                default: text.insert(alphabet.randomElement(using: &random)!, at: at)
                }
            }
            if let once = try? minified(text) { #expect((try? minified(once)) == once) }
        }
    }
}
