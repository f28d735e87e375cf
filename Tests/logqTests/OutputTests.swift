import Testing

@testable import LogQClient
@testable import logq

@Suite struct TableTests {
    @Test func columnsAreAlignedAndNumbersAreOnTheRight() {
        var table = Table(("id", .left), ("score", .right), ("features", .left))
        table.add("a", "12.5", "{}")
        table.add("longer", "-3", "-")
        #expect(
            table.text == """
                id      score  features
                a        12.5  {}
                longer     -3  -
                """
        )
    }

    @Test func noLineHasTrailingSpaces() {
        var table = Table(("a", .left), ("b", .left))
        table.add("x", "")
        table.add("", "a long cell")
        #expect(table.text == "a  b\nx  \n   a long cell")
    }

    @Test func numbersForPeople() {
        #expect(Show.number(nil) == "-")
        #expect(Show.number(2.0 / 3) == "0.666667")
        #expect(Show.number(4) == "4")
        #expect(Show.number(1e-7) == "1e-07")
        #expect(
            [0, 999, 1_000, 1_234_567, -1_000].map { Show.count($0) } == ["0", "999", "1,000", "1,234,567", "-1,000"]
        )
        #expect(
            [0.4, 59.4, 59.6, 3_600, 36_061].map { Show.duration($0) } == [
                "0 s", "59 s", "1:00", "1:00:00", "10:01:01",
            ]
        )
        #expect(Show.duration(.infinity) == "?")
        #expect(Show.vector([1, 0.1, -1e-5]) == "[1,0.1,-1e-5]")
    }
}

@Suite struct JSONTests {
    @Test func valuesAsText() {
        let value = JSONValue.object([
            ("a", .array([.null, .bool(true), .integer(-1), .number(0.1), .number(1), .vector([0.1, 2])])),
            ("b \"\\\n\u{1}é", .string("tab\t")), ("c", .raw(#"{"x":1}"#)),
        ])
        #expect(
            value.text
                == #"{"a":[null,true,-1,0.1,1,[0.1,2]],"b \"\\\n\u0001é":"tab\t","c":{"x":1}}"#
        )
    }

    @Test func idsThatAreNotTextAreStillPrinted() {
        #expect(JSONValue(ItemID("é\n")).text == #""é\n""#)
        #expect(JSONValue(ItemID([0xFF, 0x61, 0x20])).text == #"{"percent":"%FFa%20"}"#)
        #expect(ItemID("let it be").shown == "let it be")
        #expect(ItemID("a\u{1B}[2Jb").shown == "a%1B[2Jb")
        #expect(ItemID([0xFF, 0x61]).shown == "%FFa")
    }

    @Test func topKAsColumnsAndAsJSON() async throws {
        let report = Report.scores(["a", "b c"], [1.25, nil])
        #expect(report.text == "id   score\na     1.25\nb c      -")
        #expect(report.json.text == #"[{"id":"a","score":1.25},{"id":"b c","score":null}]"#)
    }

    @Test func samplesAsColumnsAndAsJSON() {
        let all: SampleColumns = [.vector, .logQ, .features]
        let items = [
            SampledItem(id: "a", q: 0.25, expected: 0.5, vector: [1, 0.5], logQ: -1.5, features: #"{"x":1}"#),
            SampledItem(id: "b c", q: 1e-5, expected: 2e-5, vector: [1, 0], logQ: -2, features: nil),
        ]
        #expect(
            Report.samples(items, columns: []).text
                == "id       q  expected\na     0.25       0.5\nb c  1e-05     2e-05"
        )
        let report = Report.samples(items, columns: all)
        #expect(report.text.split(separator: "\n")[1] == "a     0.25       0.5   -1.5  [1,0.5]  {\"x\":1}")
        #expect(report.text.split(separator: "\n")[2] == "b c  1e-05     2e-05     -2  [1,0]    -")
        #expect(
            report.json.text
                == #"[{"id":"a","q":0.25,"expected":0.5,"logq":-1.5,"vector":[1,0.5],"features":{"x":1}},"#
                + #"{"id":"b c","q":1e-5,"expected":2e-5,"logq":-2,"vector":[1,0],"features":null}]"#
        )
        #expect(Report.samples([], columns: []).json.text == "[]")
    }
}

@Suite struct ProgressTests {
    private final class Output {
        var texts: [String] = []
    }

    @Test func oneLineWithRateAndTimeLeft() {
        #expect(
            Progress.line(items: 50_000, share: 0.25, seconds: 10, hasBar: true)
                == "[#######.......................] 25 %  50,000 items  5,000/s  30 s left"
        )
        #expect(
            Progress.line(items: 50_000, share: 0.5, seconds: 10, hasBar: false)
                == "50 %  50,000 items  5,000/s  10 s left"
        )
        #expect(Progress.line(items: 7, share: nil, seconds: 1, hasBar: true) == "7 items  7/s")
        #expect(Progress.line(items: 0, share: 0, seconds: 0, hasBar: false) == "0 %  0 items  0/s")
    }

    @Test func aTerminalGetsABarThatIsRedrawnAndRemoved() {
        let output = Output()
        let start = ContinuousClock.now
        var progress = Progress(isTerminal: true, now: start) { output.texts.append($0) }
        progress.update(items: 1, share: 0.1, now: start + .milliseconds(50))
        #expect(output.texts.isEmpty)
        progress.update(items: 2, share: 0.2, now: start + .milliseconds(150))
        progress.update(items: 3, share: 0.3, now: start + .milliseconds(200))
        progress.update(items: 4, share: 0.4, now: start + .milliseconds(300))
        progress.clear()
        progress.clear()
        #expect(output.texts.count == 3)
        #expect(output.texts.allSatisfy { $0.hasPrefix("\r") && $0.hasSuffix("\u{1B}[K") && !$0.contains("\n") })
        #expect(output.texts.last == "\r\u{1B}[K")
    }

    @Test func aFileGetsALineEveryTenSeconds() {
        let output = Output()
        let start = ContinuousClock.now
        var progress = Progress(isTerminal: false, now: start) { output.texts.append($0) }
        for second in 1...25 { progress.update(items: second, share: nil, now: start + .seconds(second)) }
        progress.clear()
        #expect(output.texts == ["10 items  1/s\n", "20 items  1/s\n"])
    }
}
