import Foundation
import Testing

/// The real daemon gives the replies of every transcript of `protocol/`, however the client's bytes are split.
@Suite("Transcripts", .timeLimit(.minutes(20)))
struct TranscriptTests {
    @Test("the daemon gives the expected replies", arguments: Transcript.all, TranscriptPlayer.Pace.ofLines)
    func isHeld(_ transcript: Transcript, pace: TranscriptPlayer.Pace) throws {
        try TranscriptPlayer(transcript, pace: pace).play()
    }

    /// The other transcripts are about lines, about the format of vectors, or have few requests that RESP can say.
    @Test(
        "the daemon gives the same replies over RESP",
        arguments: Transcript.files.filter { overRESP.contains($0.name) },
        [TranscriptPlayer.Pace.resp2, .resp3]
    )
    func isHeldOverRESP(_ transcript: Transcript, pace: TranscriptPlayer.Pace) throws {
        try TranscriptPlayer(transcript, pace: pace).play()
    }

    static let overRESP: Set<String> = [
        "clock.txt", "deployments.txt", "drift.txt", "durable.txt", "estimates.txt", "features.txt", "freqset.txt",
        "items.txt", "logq.txt", "observe-return.txt", "observe.txt", "popular.txt", "sample.txt",
        "sketch.txt", "swap.txt", "topk.txt", "ids.txt", "json.txt", "collections.txt", "arity.txt",
        "readonly.txt", "memory.txt", "full.txt",
    ]

    @Test("every transcript that is replayed over RESP exists")
    func transcriptsOverRESPExist() {
        #expect(Self.overRESP.subtracting(Transcript.files.map(\.name)).isEmpty)
    }

    /// Each pair of consecutive transcripts is sent at once on one connection. So each transcript comes first once and
    /// second once.
    @Test("two transcripts sent together give the expected replies", arguments: gluedPairs)
    func twoGluedTogetherAreHeld(_ pair: Transcript) throws {
        try TranscriptPlayer(pair, pace: .whole).play()
    }

    static let gluedPairs: [Transcript] = {
        let single = Transcript.files.filter(\.canBeGlued)
        return single.indices.map { index in
            let (first, second) = (single[index], single[(index + 1) % single.count])
            return Transcript(
                name: "\(first.name) + \(second.name)",
                statements: first.statements + second.statements
            )
        }
    }()

    @Test("patterns match exactly the lines that they describe")
    func patterns() {
        func matches(_ text: String, _ pattern: String) -> Bool {
            TranscriptPlayer.matches(Array(text.utf8)[...], Array(pattern.utf8)[...])
        }
        #expect(matches("OK 12", "OK *"))
        #expect(matches("OK ", "OK *"))
        #expect(!matches("OK", "OK *"))
        #expect(matches("abc", "abc"))
        #expect(!matches("abcd", "abc"))
        #expect(matches("version 1.2", "version *.*"))
        #expect(!matches("version 12", "version *.*"))
        #expect(!matches("aba", "ab*ba"))
        #expect(matches("abba", "ab*ba"))
        #expect(matches("a1b2c", "*1*2*"))
        #expect(!matches("a2b1c", "*1*2*"))
    }
}
