import Foundation
import TestSupport
import Testing

@testable import JSONObject

struct JSONMergeTests {
    private func merged(_ object: String?, _ patch: String) -> String {
        let bytes = patch.withBytes { patch in
            guard let object else { return JSONText.merged(nil, with: patch) }
            return object.withBytes { JSONText.merged($0, with: patch) }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The examples of RFC 7396 whose patch is an object, and those of keys that are spelled in several ways.
    @Test(arguments: [
        (#"{"a":"b"}"#, #"{"a":"c"}"#, #"{"a":"c"}"#),
        (#"{"a":"b"}"#, #"{"b":"c"}"#, #"{"a":"b","b":"c"}"#),
        (#"{"a":"b"}"#, #"{"a":null}"#, "{}"),
        (#"{"a":"b","b":"c"}"#, #"{"a":null}"#, #"{"b":"c"}"#),
        (#"{"a":["b"]}"#, #"{"a":"c"}"#, #"{"a":"c"}"#),
        (#"{"a":"c"}"#, #"{"a":["b"]}"#, #"{"a":["b"]}"#),
        (#"{"a":{"b":"c"}}"#, #"{"a":{"b":"d","c":null}}"#, #"{"a":{"b":"d"}}"#),
        (#"{"a":[{"b":"c"}]}"#, #"{"a":[1]}"#, #"{"a":[1]}"#),
        (#"{"e":null}"#, #"{"a":1}"#, #"{"e":null,"a":1}"#),
        ("{}", #"{"a":{"bb":{"ccc":null}}}"#, #"{"a":{"bb":{}}}"#),
        (
            #"{"title":"Goodbye!","author":{"givenName":"John","familyName":"Doe"},"tags":["example","sample"]}"#,
            #"{"title":"Hello!","phoneNumber":"+01-123","author":{"familyName":null},"tags":["example"]}"#,
            #"{"title":"Hello!","author":{"givenName":"John"},"tags":["example"],"phoneNumber":"+01-123"}"#
        ),
        // The present spelling and place of a key stay.
        (#"{"é":1,"b":2}"#, #"{"b":3,"\u00e9":{"x":null,"y":4}}"#, #"{"é":{"y":4},"b":3}"#),
        (#"{"a\"}":1,"b":2}"#, #"{"a\u0022}":null}"#, #"{"b":2}"#),
        (#"{"a":1}"#, #"{"a":[null,{"b":null}]}"#, #"{"a":[null,{"b":null}]}"#),
        (#"{"a":1,"b":2,"c":3}"#, #"{"c":null,"z":1,"a":null,"y":2}"#, #"{"b":2,"z":1,"y":2}"#),
        (#"{"a":1}"#, "{}", #"{"a":1}"#),
    ])
    func mergesAsTheStandardSays(object: String, patch: String, expected: String) {
        #expect(merged(object, patch) == expected)
    }

    @Test func withoutAnObjectNullsAreDropped() {
        #expect(merged(nil, #"{"a":{"b":null,"c":1},"d":null}"#) == #"{"a":{"c":1}}"#)
        #expect(merged(nil, "{}") == "{}")
    }

    @Test func whatIsNotNamedStaysByteForByte() {
        let object = #"{"n":9007199254740993123456789,"f":1.50E+0400,"s":"\u0041\/","price":3}"#
        #expect(merged(object, #"{"price":4}"#) == object.replacing("3}", with: "4}"))
        #expect(merged(object, #"{"x":-0.0}"#) == object.dropLast() + #","x":-0.0}"#)
    }

    /// Each key of the patch must not be compared with each key of the object.
    @Test func mergesManyKeysInLittleTime() {
        let keys = (0..<600).map { "\"\($0 + 100)\":1" }.joined(separator: ",")
        let duration = ContinuousClock().measure {
            for _ in 0..<300 { _ = merged("{\(keys)}", "{\(keys)}") }
        }
        #expect(merged("{\(keys)}", "{\(keys)}") == "{\(keys)}")
        #expect(duration < .seconds(10))
    }

    /// Random objects, against a merge of parsed values.
    @Test func equalsAMergeOfParsedValues() throws {
        let seed = TestScale.seed(or: 7_396)
        print("seed \(seed)")
        var random = SeededGenerator(seed: seed)
        for _ in 0..<3_000 {
            let (object, patch) = (Self.text(Self.randomObject(&random, 3)), Self.text(Self.randomObject(&random, 3)))
            let result = merged(object, patch)
            let expected = Self.merge(try Self.parsed(object), try Self.parsed(patch))
            let got = try Self.parsed(result)
            #expect(NSDictionary(dictionary: got) == NSDictionary(dictionary: expected), "\(object) \(patch)")
            let minified = try result.withBytes { bytes throws(JSONError) in try JSONText.minifiedObject(bytes) }
            #expect(minified == Array(result.utf8))
            #expect(merged(result, patch) == result)
        }
    }

    private static func randomObject(_ random: inout SeededGenerator, _ depth: Int) -> [(String, Any)] {
        ["a", "b", "c", #"\u0064"#].shuffled(using: &random).prefix(Int.random(in: 0...4, using: &random)).map { key in
            switch Int.random(in: 0..<6, using: &random) {
            case 0: (key, "null")
            case 1: (key, #"[1,{"a":null},"}"]"#)
            case 2: (key, #""te,xt\"""#)
            case 3...4 where depth > 0: (key, randomObject(&random, depth - 1))
            default: (key, "\(Int.random(in: 0..<100, using: &random))")
            }
        }
    }

    private static func text(_ value: Any) -> String {
        guard let members = value as? [(String, Any)] else { return "\(value)" }
        return "{" + members.map { "\"\($0.0)\":\(text($0.1))" }.joined(separator: ",") + "}"
    }

    private static func parsed(_ text: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }

    private static func merge(_ object: Any?, _ patch: [String: Any]) -> [String: Any] {
        var merged = object as? [String: Any] ?? [:]
        for (key, value) in patch {
            if value is NSNull {
                merged[key] = nil
            } else if let changes = value as? [String: Any] {
                merged[key] = merge(merged[key], changes)
            } else {
                merged[key] = value
            }
        }
        return merged
    }
}
