import ArgumentParser
import LogQClient
import Testing

@testable import logq

@Suite struct ArgumentTests {
    private func parse<Command>(_ type: Command.Type, _ arguments: String...) throws -> Command {
        let command = try LogQCommand.parseAsRoot(arguments)
        return try #require(command as? Command)
    }

    private func exitCode(_ arguments: String...) -> Int32 {
        do {
            _ = try LogQCommand.parseAsRoot(arguments)
            return 0
        } catch let failure as Failure {
            return failure.exitCode.rawValue
        } catch {
            return LogQCommand.exitCode(for: error).rawValue
        }
    }

    @Test func connectionOptionsMayComeBeforeOrAfterTheCommand() throws {
        let before = try parse(GetCommand.self, "--port", "7", "--json", "get", "items", "a", "b")
        #expect(before.global.port == 7 && before.global.json && before.ids == ["a", "b"])
        let after = try parse(GetCommand.self, "get", "items", "a", "--port", "7", "--json")
        #expect(after.global.port == 7 && after.global.json && after.ids == ["a"])
    }

    @Test func addresses() throws {
        func address(_ environment: String?, _ arguments: String...) throws -> LogQAddress {
            let command = try #require(try LogQCommand.parseAsRoot(arguments + ["ping"]) as? PingCommand)
            return try command.global.address(environment: environment.map { ["LOGQ_ADDRESS": $0] } ?? [:])
        }
        #expect(try address(nil) == .tcp(host: "127.0.0.1", port: 5_647))
        #expect(try address("example.org:7") == .tcp(host: "example.org", port: 7))
        #expect(try address("example.org") == .tcp(host: "example.org", port: 5_647))
        #expect(try address("[::1]:7") == .tcp(host: "::1", port: 7))
        #expect(try address("::1") == .tcp(host: "::1", port: 5_647))
        #expect(try address("/run/logqd.sock") == .unixSocket(path: "/run/logqd.sock"))
        #expect(try address("unix:logqd.sock") == .unixSocket(path: "logqd.sock"))
        #expect(try address("example.org:7", "--unix", "/a") == .unixSocket(path: "/a"))
        #expect(try address("example.org:7", "--port", "8") == .tcp(host: "example.org", port: 8))
        #expect(try address("/a", "--host", "h") == .tcp(host: "h", port: 5_647))
        #expect(try address(nil, "--host", "127.0.0.1:5648") == .tcp(host: "127.0.0.1", port: 5_648))
        #expect(try address(nil, "--host", "[::1]:7", "--port", "8") == .tcp(host: "::1", port: 8))
        #expect(try address("example.org:7", "--host", "h") == .tcp(host: "h", port: 7))
        #expect(try address("/a", "--url", "logq://h:8") == .tcp(host: "h", port: 8))
        #expect(try address(nil, "--url", "logq+unix:///a%20b") == .unixSocket(path: "/a b"))
        #expect(try address("logq://h:8", "--port", "9") == .tcp(host: "h", port: 9))
        #expect(throws: Failure.self) { try address(nil, "--url", "h:8") }
        #expect(throws: Failure.self) { try address("redis://h:8") }
        #expect(exitCode("ping", "--url", "logq://h", "--port", "8") == 64)
        #expect(throws: Failure.self) { try address(nil, "--host", "h:port") }
        #expect(throws: Failure.self) { try address(nil, "--host", "/run/logqd.sock") }
        #expect(throws: Failure.self) { try address("host:port") }
        #expect(throws: Failure.self) { try address("host:70000") }
    }

    @Test func placesInAListOfPopularIDs() throws {
        let first = try parse(PopularCommand.self, "popular", "items", "10")
        #expect(try first.place() == nil && first.n == 10 && !first.all)
        let next = try parse(PopularCommand.self, "popular", "items", "10", "--after", "a,b,1.5,7", "--timeout-ms", "9")
        #expect(try next.place() == PopularID("a,b", count: 1.5, step: 7))
        #expect(next.timeoutMs == 9)
        let none = try parse(PopularCommand.self, "popular", "items", "10", "--after", "%41,0,-", "--percent", "--all")
        #expect(try none.place() == PopularID("A", count: 0, step: nil) && none.all)
        for wrong in ["a", "a,1", "a,x,7", "a,-1,7", "a,inf,7", "a,1,x", "a,1,-7", "a,1,"] {
            #expect(exitCode("popular", "items", "10", "--after", wrong) == 64, "\(wrong)")
        }
        #expect(exitCode("popular", "items", "0") == 64)
    }

    @Test func valuesOfTheVerbs() throws {
        let put = try parse(PutCommand.self, "put", "items", "a", "[1, -0.5]", #"{"x":1}"#)
        #expect(put.vector.values == [1, -0.5] && put.features == #"{"x":1}"#)
        #expect(try parse(PutCommand.self, "put", "items", "a", "f32:AACAPwAAAAA=").vector.values == [1, 0])
        #expect(try parse(ObserveCommand.self, "observe", "items", "-", "a", "a").step == StepArgument(argument: "-"))
        #expect(try parse(ObserveCommand.self, "observe", "items", "7", "a").step.step == 7)
        #expect(
            try parse(TopKCommand.self, "topk", "items", "5", "[1]", "--except", "a", "--except", "b").except == [
                "a", "b",
            ]
        )
        let window = try parse(TopKCommand.self, "topk", "items", "5", "[1]", "--range-min", "2", "--radius", "-0.25")
        #expect(window.ranks == 2...Int.max && window.radius == -0.25 && window.timeoutMs == nil)
        let end = try parse(TopKCommand.self, "topk", "items", "5", "[1]", "--range-max", "7", "--timeout-ms", "9")
        #expect(end.ranks == 1...7 && end.timeoutMs == 9)
        #expect(try parse(TopKCommand.self, "topk", "items", "5", "[1]").ranks == nil)
        let sample = try parse(
            TopKCommand.self,
            "topk",
            "items",
            "5",
            "[1]",
            "--except",
            "a",
            "--margin",
            "0.5",
            "--sample",
            "2",
            "--strategy",
            "random",
            "--seed",
            "18446744073709551615"
        )
        #expect(sample.margin == 0.5 && sample.topKSample == .random(2, seed: .max))
        #expect(try parse(TopKCommand.self, "topk", "items", "5", "[1]", "--strength", "-0.5").strength == -0.5)
        #expect(try parse(TopKCommand.self, "topk", "items", "5", "[1]", "--sample", "2").topKSample == .top(2))
        #expect(try parse(TopKCommand.self, "topk", "items", "5", "[1]").topKSample == nil)
        let create = try parse(CreateCommand.self, "create", "c", "--dim", "3", "--metric", "l2")
        #expect(create.metric?.metric == .l2)
        #expect(throws: (any Error).self) { try parse(CreateCommand.self, "create", "c") }
        #expect(throws: (any Error).self) {
            try parse(CreateCommand.self, "create", "c", "--like", "d", "--alpha", "1")
        }
        #expect(try parse(CreateCommand.self, "create", "c", "--like", "d").like == "d")
        #expect(try parse(SwapCommand.self, "swap", "a", "b", "--statistics", "stay").statistics == .stay)
        #expect(try parse(GetCommand.self, "get", "items", "--", "-dash").ids == ["-dash"])
    }

    @Test func factorsOfTheLogarithmMayBeNegative() throws {
        let values = try parse(LogFrequencyCommand.self, "logq", "items", "--strength", "-1", "a")
        #expect(values.correction.strength == -1 && values.ids == ["a"])
        let batch = try parse(
            ObserveCommand.self,
            "observe",
            "items",
            "7",
            "a",
            "--return",
            "logq",
            "--strength",
            "-0.5"
        )
        #expect(batch.correction.strength == -0.5 && batch.ids == ["a"])
    }

    @Test func hashesBelongToBuckets() throws {
        #expect(try parse(CreateCommand.self, "create", "c", "--dim", "3").sketch == nil)
        let usual = try parse(CreateCommand.self, "create", "c", "--dim", "3", "--sketch-buckets", "100").sketch
        #expect(usual?.bucketCount == 100 && usual?.hashCount == 4)
        let other = try parse(
            CreateCommand.self,
            "create",
            "c",
            "--dim",
            "3",
            "--sketch-buckets",
            "100",
            "--sketch-hashes",
            "8"
        )
        #expect(other.sketch?.bucketCount == 100 && other.sketch?.hashCount == 8)
    }

    @Test func waysToDraw() throws {
        #expect(try parse(SampleCommand.self, "sample", "items", "5").distribution == .uniform)
        let powered = try parse(SampleCommand.self, "sample", "c", "5", "--by", "frequency", "--power", "0.75")
        #expect(powered.distribution == .frequency(power: 0.75) && !powered.unique && powered.seed == nil)
        let mixed = try parse(
            SampleCommand.self,
            "sample",
            "c",
            "5",
            "--by",
            "mixed",
            "--mix",
            "3:0.5",
            "--unique",
            "--seed",
            "18446744073709551615"
        )
        #expect(mixed.distribution == .mixed(inBatch: 3, uniform: 0.5) && mixed.unique && mixed.seed == .max)
    }

    @Test func idsAreTakenAsTheyAreOrPercentEncoded() throws {
        #expect(try parse(GetCommand.self, "get", "c", "a%20b").global.ids(["a%20b"]) == ["a%20b"])
        let encoded = try parse(GetCommand.self, "get", "c", "a%20b", "--percent")
        #expect(try encoded.global.ids(encoded.ids) == ["a b"])
        #expect(throws: Failure.self) { try encoded.global.ids(["%zz"]) }
    }

    @Test func nonsenseIsAUsageError() {
        #expect(exitCode("nonsense") == 64)
        #expect(exitCode("get", "items") == 64)
        #expect(exitCode("put", "items", "a", "[1,") == 64)
        #expect(exitCode("put", "items", "a", "[nan]") == 64)
        #expect(exitCode("put", "items", "a", "[1 2]") == 64)
        #expect(exitCode("observe", "items", "-7", "a") == 64)
        #expect(exitCode("observe", "items", "7", "a", "--seq", "w") == 64)
        #expect(exitCode("observe", "items", "7", "a", "--unit", "p") == 64)
        #expect(exitCode("observe", "items", "7", "a", "--return", "freq") == 64)
        #expect(exitCode("observe", "items", "7", "a", "--return", "logq", "--batch", "8") == 64)
        #expect(exitCode("freqset", "items", "7", "a", "1") == 64)
        #expect(exitCode("freqset", "items", "7", "a", "1", "x") == 64)
        #expect(exitCode("topk", "items", "5") == 64)
        #expect(exitCode("topk", "items", "5", "[1]", "--like", "a") == 64)
        #expect(exitCode("topk", "items", "5", "[1]", "--with", "colour") == 64)
        #expect(exitCode("topk", "items", "5", "[1]", "--range-max", "0") == 64)
        #expect(exitCode("topk", "items", "5", "[1]", "--range-min", "0") == 64)
        #expect(exitCode("topk", "items", "5", "[1]", "--range-min", "3", "--range-max", "2") == 64)
        #expect(exitCode("topk", "items", "5", "[1]", "--radius", "nan") == 64)
        #expect(exitCode("topk", "items", "5", "[1]", "--strength", "1001") == 64)
        #expect(exitCode("topk", "items", "5", "[1]", "--strength", "nan") == 64)
        #expect(exitCode("topk", "items", "5", "[1]", "--margin", "1") == 64)
        #expect(exitCode("topk", "items", "5", "[1]", "--margin", "-1", "--except", "a") == 64)
        #expect(exitCode("topk", "items", "5", "[1]", "--margin", "inf", "--except", "a") == 64)
        #expect(exitCode("topk", "items", "5", "[1]", "--strategy", "random") == 64)
        #expect(exitCode("topk", "items", "5", "[1]", "--sample", "1", "--seed", "1") == 64)
        #expect(exitCode("topk", "items", "5", "[1]", "--sample", "1", "--strategy", "best") == 64)
        #expect(exitCode("sample", "items") == 64)
        #expect(exitCode("sample", "items", "5", "--by", "luck") == 64)
        #expect(exitCode("sample", "items", "5", "--by", "mixed") == 64)
        #expect(exitCode("sample", "items", "5", "--mix", "1:1") == 64)
        #expect(exitCode("sample", "items", "5", "--by", "mixed", "--mix", "0:0") == 64)
        #expect(exitCode("sample", "items", "5", "--by", "mixed", "--mix", "1") == 64)
        #expect(exitCode("sample", "items", "5", "--power", "0.5") == 64)
        #expect(exitCode("sample", "items", "5", "--by", "frequency", "--power", "1.5") == 64)
        #expect(exitCode("sample", "items", "5", "--with", "rank") == 64)
        #expect(exitCode("logq", "items", "a", "--unit", "expected") == 64)
        #expect(exitCode("logq", "items", "a", "--batch", "5") == 64)
        #expect(exitCode("logq", "items", "a", "--strength", "x") == 64)
        #expect(exitCode("create", "c", "--dim", "3", "--sketch-hashes", "8") == 64)
        #expect(exitCode("load", "items", "--dim", "5") == 64)
        #expect(exitCode("ping", "--unix", "/a", "--host", "b") == 64)
        #expect(exitCode("ping", "--port", "70000") == 64)
        #expect(exitCode("--help") == 0)
    }

    @Test func usageErrorsAreOneLineThatSaysWhereToReadOn() {
        func message(_ arguments: String...) -> String? {
            do {
                _ = try LogQCommand.parseAsRoot(arguments)
                return nil
            } catch {
                return Main.usageMessage(error, arguments: arguments)
            }
        }
        #expect(
            message("put", "items", "a", "[1,x]")
                == "The value '[1,x]' is invalid for '<vector>': got 'x' as number 2, expected a finite number "
                + "(see logq put --help)"
        )
        #expect(message("get", "items") == "Missing expected argument '<ids> ...' (see logq get --help)")
        #expect(message("topk", "c", "5")?.hasSuffix("expected one (see logq topk --help)") == true)
        #expect(
            message("create", "c", "--dim", "3", "--sketch-hashes", "8")
                == "got --sketch-hashes 8 without --sketch-buckets, expected both, or no --sketch-hashes "
                + "(see logq create --help)"
        )
        #expect(
            message("logq", "c", "a", "--unit", "p", "--batch", "8")
                == "got --batch with --unit p, expected both --unit expected and --batch, or neither "
                + "(see logq logq --help)"
        )
        #expect(
            message("observe", "c", "7", "a", "--unit", "p", "--strength", "-1")
                == "got --unit and --strength without --return, expected --return logq with it "
                + "(see logq observe --help)"
        )
        #expect(message("nonsense")?.hasSuffix("Unexpected argument 'nonsense' (see logq --help)") == true)
        for (typed, meant) in [("pign", "ping"), ("collection", "collections"), ("GET", "get"), ("top-k", "topk")] {
            #expect(message(typed)?.hasSuffix(". Did you mean '\(meant)'? (see logq --help)") == true)
        }
        #expect(message("get", "pign")?.contains("Did you mean") == false)
    }

    @Test func exitCodesAreDocumented() {
        let help = LogQCommand.helpMessage(columns: 100)
        for status in ExitStatus.allCases {
            #expect(help.contains(" \(status.rawValue)  \(status.summary)"))
        }
        #expect(ExitStatus(LogQError(.noCollection, "")) == .refused)
        #expect(ExitStatus(LogQError(.other("X"), "")) == .refused)
        #expect(ExitStatus(LogQError(.connectFailed, "")) == .unreachable)
        #expect(ExitStatus(LogQError(.connectionLost, "")) == .unreachable)
        #expect(ExitStatus(LogQError(.badReply, "")) == .badReply)
    }
}
