import Foundation
import TestSupport
import Testing

/// `logq` as its users run it: a child process with its output and exit code.
@Suite struct CommandLineTests {
    private struct Answer: Equatable {
        var output: String
        var error: String
        var exitCode: Int32

        static func output(_ text: String) -> Answer { Answer(output: text + "\n", error: "", exitCode: 0) }
    }

    private struct Shell {
        let address: String

        func callAsFunction(_ arguments: String...) throws -> Answer {
            var environment = ProcessInfo.processInfo.environment
            environment["LOGQ_ADDRESS"] = address
            let child = try ChildProcess(
                [try DaemonProcess.executable("logq")] + arguments,
                environment: environment
            )
            guard case .exited(let code) = try child.waitForExit(within: 60) else {
                throw HarnessError("logq was killed by a signal")
            }
            return Answer(output: child.output, error: child.errorOutput, exitCode: code)
        }
    }

    private func withDaemon(_ body: (Shell, TemporaryDirectory) throws -> Void) throws {
        let directory = try TemporaryDirectory()
        let daemon = try DaemonProcess(directory: directory)
        try body(Shell(address: daemon.socketPath), directory)
        try daemon.stop()
    }

    @Test func aTour() throws {
        try withDaemon { (logq, _) throws in
            try writeAndReadItems(logq)
            try observeAndReadFrequencies(logq)
            #expect(try logq("create", "next", "--dim", "1") == .output("OK"))
            #expect(try logq("swap", "items", "next") == .output("OK"))
            #expect(try logq("get", "next", "b c") == .output("id   vector\nb c  [0,-1]"))
            #expect(try logq("swap", "items", "next") == .output("OK"))
            #expect(
                try logq("sample", "items", "1", "--except", "b c", "--with", "logq", "--seed", "1")
                    == .output("id  q  expected      log q\na   1         1  -0.405465")
            )
            #expect(
                try logq("sample", "items", "2", "--by", "mixed", "--mix", "3:1", "--except", "a", "--unique", "--json")
                    == .output(#"[{"id":"b c","q":1,"expected":1}]"#)
            )
            #expect(try logq("del", "items", "a", "no") == .output("id  deleted\na   yes\nno  -"))
            let collections = "collection  dimension  metric  alpha  items  ids  half-life  recent  max ids  sketch\n"
            #expect(try logq("collections").output.hasPrefix(collections))
            #expect(try logq("ping").output.hasPrefix("OK "))
            #expect(try logq("hello").output.contains("protocol         1\n"))
            #expect(try logq("info", "server", "--json").output.hasPrefix("{\"version\":"))
            #expect(try logq("help-verb", "ping").output.hasPrefix("PING -- "))
            #expect(try logq("drop", "items") == .output("OK"))
        }
    }

    private func writeAndReadItems(_ logq: Shell) throws {
        #expect(try logq("create", "items", "--dim", "2") == .output("OK"))
        #expect(try logq("put", "items", "a", "[1, 0.5]", #"{"x": 1}"#) == .output("OK"))
        #expect(try logq("put", "items", "b c", "0,-1") == .output("OK"))
        #expect(
            try logq("get", "items", "a", "b c", "no") == .output("id   vector\na    [1,0.5]\nb c  [0,-1]\nno   -")
        )
        #expect(
            try logq("topk", "items", "2", "[1,1]", "--with", "features")
                == .output("   id   score  features\n1  a      1.5  {\"x\":1}\n2  b c     -1  -")
        )
        #expect(
            try logq("--json", "topk", "items", "1", "--like", "a")
                == .output(#"[{"id":"b c","score":-0.5,"rank":1}]"#)
        )
        #expect(
            try logq("topk", "items", "2", "[1,1]", "--range-min", "2", "--timeout-ms", "60000")
                == .output("   id   score\n2  b c     -1")
        )
        #expect(
            try logq("topk", "items", "2", "[1,1]", "--radius", "-0.5") == .output("   id  score\n1  a     1.5")
        )
        #expect(try logq("score", "items", "[2,0]", "a") == .output("id  score\na       2"))
        #expect(try logq("scan", "items", "--all", "--limit", "1") == .output("row  id\n  0  a\n  1  b c"))
        #expect(try logq("fset", "items", "a", #"{"y":[1]}"#) == .output("OK"))
        #expect(try logq("fget", "items", "a") == .output("id  features\na   {\"y\":[1]}"))
        #expect(try logq("fset", "items", "a", #"{"z":2}"#, "--merge") == .output("OK"))
        #expect(try logq("fget", "items", "a") == .output("id  features\na   {\"y\":[1],\"z\":2}"))
    }

    private func observeAndReadFrequencies(_ logq: Shell) throws {
        #expect(try logq("observe", "items", "1", "a", "b c") == .output("OK"))
        #expect(try logq("observe", "items", "-", "a", "--seq", "w:1") == .output("OK"))
        #expect(
            try logq("observe", "items", "2", "a", "a", "--seq", "w:1", "--return", "logq", "--unit", "p")
                == .output("id  log p  state\na       0  seen\na       0  seen")
        )
        #expect(try logq("freqset", "items", "4", "z", "8", "-") == .output("OK"))
        #expect(
            try logq("logq", "items", "a", "z", "--unit", "p")
                == .output("id     log p  state\na          0  seen\nz   -2.07944  seen")
        )
        let list = "id   count  step\na        2     4\nb c      1     4\nz        0     4"
        #expect(try logq("popular", "items", "1", "--all") == .output(list))
        #expect(
            try logq("popular", "items", "1", "--after", "a,2,4", "--json")
                == .output(#"[{"id":"b c","count":1,"step":4}]"#)
        )
        #expect(
            try logq("freq", "items", "b c", "--json")
                == .output(
                    #"[{"id":"b c","q":0.3333333333333333,"p":0.25,"expected":null,"gap":null,"count":1,"#
                        + #""last":1,"state":"once"}]"#
                )
        )
    }

    @Test func bashCompletesSubcommands() throws {
        let logq = try DaemonProcess.executable("logq")
        let script = """
            source <("$1" --generate-completion-script bash)
            COMP_WORDS=(logq po) COMP_CWORD=1 COMP_LINE="logq po" COMP_POINT=7 COMPREPLY=()
            _logq logq po logq
            echo "${COMPREPLY[@]}"
            """
        let bash = try ChildProcess(["/bin/bash", "-c", script, "bash", logq])
        #expect(try bash.waitForExit(within: 60) == .exited(0))
        #expect(bash.output == "popular\n" && bash.errorOutput.isEmpty)
    }

    @Test func exitCodesAndOneLineOfError() throws {
        try withDaemon { (logq, _) throws in
            let refused = try logq("get", "nowhere", "a")
            #expect(refused.exitCode == 1 && refused.output.isEmpty)
            #expect(refused.error == "logq: GET nowhere: NOCOLLECTION: there is no collection 'nowhere'\n")
            let usage = try logq("get", "nowhere")
            #expect(usage.exitCode == 64 && usage.error.split(separator: "\n").count == 1)
            let unreachable = try logq("ping", "--unix", "/tmp/no/such/socket")
            #expect(unreachable.exitCode == 69)
            #expect(unreachable.error == "logq: could not connect to /tmp/no/such/socket: no such file or directory\n")
            let long = try logq("ping", "--unix", "/" + String(repeating: "x", count: 199))
            #expect(long.exitCode == 69 && long.error.contains("got 200 bytes, expected a path of 1 to 10"))
            #expect(try logq("ping", "--unix", "").error.contains("got 0 bytes"))
            #expect(try logq("ping", "--url", "logq+unix://\(logq.address)").exitCode == 0)
            let noURL = try logq("ping", "--url", "redis://127.0.0.1")
            #expect(noURL.exitCode == 64 && noURL.error.contains("got the URL 'redis://127.0.0.1', expected logq://"))
            #expect(try logq("load", "items", "/tmp/no/such/file").exitCode == 66)
            #expect(try logq("--help").exitCode == 0)
        }
    }

    private func items(_ range: Range<Int>) -> String {
        range.map { #"{"id": "item-\#($0)", "vector": [\#($0), 0.5], "features": {"n": \#($0)}}"# + "\n" }.joined()
    }

    @Test func loadCreatesCountsAndSaysWhereItStopped() throws {
        try withDaemon { (logq, directory) throws in
            let path = directory.path + "/items.jsonl"
            func write(_ text: String) throws { try Data(text.utf8).write(to: URL(fileURLWithPath: path)) }
            try write(items(0..<5_000))
            let loaded = try logq("load", "items", path, "--create", "--metric", "cosine")
            #expect(loaded.exitCode == 0 && loaded.output.hasPrefix("5,000 lines acknowledged in "))
            #expect(loaded.output.hasSuffix("; items has 5,000 items\n"))
            #expect(try logq("collections", "--json").output.contains(#""dimension":2,"metric":"cosine""#))
            #expect(try logq("fget", "items", "item-4999") == .output("id         features\nitem-4999  {\"n\":4999}"))
            #expect(try logq("load", "items", path, "--create", "--metric", "cosine").exitCode == 0)
            let other = try logq("load", "items", path, "--create", "--metric", "l2")
            #expect(other.exitCode == 1 && other.error.contains("it is not as --create asks"))

            // A line without a vector. The advice must be to continue from this line, because no later line counts as
            // acknowledged.
            try write(items(0..<10) + "\n{\"id\": \"x\"}\n" + items(10..<20))
            let stopped = try logq("load", "items", path)
            #expect(stopped.exitCode == 65)
            #expect(
                stopped.error
                    == "logq: line 12: got neither a vector nor features; 10 lines acknowledged, go on with "
                    + "--from-line 12\n"
            )
            let resumed = try logq("load", "items", path, "--from-line", "13", "--json")
            #expect(resumed.output.hasPrefix(#"{"acknowledged":10,"skipped":0,"lines":22,"#))

            // A line that the daemon refuses.
            try write(items(0..<3) + #"{"id": "wide", "vector": [1, 2, 3]}"# + "\n" + items(3..<5))
            let refused = try logq("load", "items", path)
            #expect(refused.exitCode == 1)
            #expect(refused.error.hasPrefix("logq: line 4: PUT items: DIM: "))
            #expect(refused.error.hasSuffix("go on with --from-line 4\n"))
            let skipped = try logq("load", "items", path, "--skip-errors", "--json")
            #expect(skipped.exitCode == 0)
            #expect(skipped.output.hasPrefix(#"{"acknowledged":5,"skipped":1,"lines":6,"#))
            #expect(skipped.error.hasPrefix("logq: line 4: "))

            // A failure that no line has caused ends the load all the same.
            let nowhere = try logq("load", "nowhere", path, "--skip-errors")
            #expect(nowhere.exitCode == 1 && nowhere.error.contains("line 1: PUT nowhere: NOCOLLECTION"))
        }
    }

    @Test func loadTakesWhatProgramsWrite() throws {
        try withDaemon { (logq, directory) throws in
            let path = directory.path + "/items.jsonl"
            func write(_ text: String) throws { try Data(text.utf8).write(to: URL(fileURLWithPath: path)) }
            // A byte order mark, an id that is there twice, and lines without a vector.
            let line = #"{"id":"a","vector":[1,2]}"#
            try write("\u{FEFF}\(line)\r\n\(line)\n" + #"{"id":"b","features":{"x":1}}"# + "\n")
            let loaded = try logq("load", "items", path, "--create")
            #expect(loaded.exitCode == 0, "\(loaded.error)")
            #expect(
                loaded.output.hasPrefix("3 lines acknowledged in ") && loaded.output.hasSuffix("; items has 1 item\n")
            )
            #expect(try logq("fget", "items", "b") == .output("id  features\nb   {\"x\":1}"))

            // A load that has loaded nothing fails, and leaves nothing.
            try write("\u{1B}[31m\nnot JSON\n")
            let skipped = try logq("load", "other", path, "--create", "--dim", "2", "--skip-errors")
            #expect(skipped.exitCode == 65)
            #expect(skipped.error.contains("got '%1B[31m' at column 1"), "\(skipped.error)")
            #expect(skipped.error.hasSuffix("logq: all 2 lines were skipped, nothing was loaded\n"), "\(skipped.error)")
            try write(#"{"id":"","vector":[1]}"# + "\n")
            #expect(try logq("load", "other", path, "--create").exitCode == 1)
            #expect(try logq("load", "other", path, "--create", "--skip-errors").exitCode == 65)
            try write(#"{"id":"a","features":{}}"# + "\n")
            let early = try logq("load", "other", path, "--create")
            #expect(early.exitCode == 65 && early.error.contains("line 1: got features before any vector"))
            #expect(try logq("load", "other", path, "--create", "--dim", "7", "--json").exitCode == 0)
            #expect(try logq("collections", "--json").output.contains(#""name":"other","dimension":7"#))
        }
    }

    @Test(arguments: [SIGINT, SIGTERM, SIGHUP])
    func aLoadThatIsStoppedSaysHowToGoOn(signal: Int32) throws {
        try withDaemon { (logq, directory) throws in
            #expect(try logq("create", "items", "--dim", "1") == .output("OK"))
            let pipe = directory.path + "/pipe"
            try #require(mkfifo(pipe, 0o600) == 0)
            let load = try ChildProcess(
                [try DaemonProcess.executable("logq"), "--unix", logq.address, "load", "items", pipe]
            )
            // Opening the pipe succeeds once the program reads from it.
            let input = try #require(FileHandle(forWritingAtPath: pipe))
            try input.write(contentsOf: Data((#"{"id":"a","vector":[1]}"# + "\n").utf8))
            let deadline = Deadline(seconds: TestScale.patienceSeconds)
            while try logq("get", "items", "a") != .output("id  vector\na   [1]") {
                try #require(!deadline.hasPassed)
            }
            load.send(signal: signal)
            #expect(try load.waitForExit(within: TestScale.patienceSeconds) == .exited(130))
            let expected = "logq: interrupted; 1 line acknowledged, go on with --from-line 2\n"
            #expect(load.errorOutput == expected)
            try input.close()
        }
    }

    @Test(arguments: ["--version", "-V", "version"])
    func theVersionIsThatOfTheDaemon(argument: String) throws {
        let logq = try ChildProcess([try DaemonProcess.executable("logq"), argument])
        #expect(try logq.waitForExit(within: 60) == .exited(0))
        let logqd = try ChildProcess([try DaemonProcess.executable(), "--version"])
        #expect(try logqd.waitForExit(within: 60) == .exited(0))
        #expect(logq.output == logqd.output && !logq.output.isEmpty)
    }
}
