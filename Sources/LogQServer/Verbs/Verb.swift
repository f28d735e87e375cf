import ItemStore
import PackedStrings
import WireProtocol

/// One verb: its syntax, its help, the access that it needs, and its handler. Each verb has its own file, and
/// `Verbs.all` lists them. A class, so that looking up the verb of a request copies only a reference.
final class Verb: Sendable {
    let syntax: VerbSyntax
    /// One line for `HELP`.
    let summary: String
    /// An example request for `HELP`.
    let example: String
    let access: Access
    let action: Action

    init(_ syntax: VerbSyntax, _ summary: String, example: String, access: Access, _ action: Action) {
        self.syntax = syntax
        self.summary = summary
        self.example = example
        self.access = access
        self.action = action
    }

    /// The access that a client needs. It is declared for a later authentication, and only tests read it today.
    enum Access: Sendable {
        case read
        case write
        /// Creates, removes or renames whole collections.
        case admin
    }

    /// The handler. Its case determines where it runs, and which earlier requests it waits for (see `ConnectionState`).
    enum Action: Sendable {
        /// Replies at once and reads no items. May change the session.
        case session(@Sendable (inout Session, Request, Services) throws(WireError) -> RowBlock)
        /// Reads all rows at once.
        case read(@Sendable (Request, Services) throws(WireError) -> Page)
        /// Reads one row for each id, in slices.
        case lookup(@Sendable (Request, Services) throws(WireError) -> Lookup)
        /// Runs in the query pool.
        case query(@Sendable (Request, Services) throws(WireError) -> QueuedQuery)
        /// Goes to the store's thread, in one batch with the adjacent writes of its connection.
        case change(@Sendable (Request, Services) throws(WireError) -> Change)

        /// A write whose reply has no rows.
        static func write(_ handler: @escaping @Sendable (Request) throws(WireError) -> Write) -> Action {
            .change { (request, _) throws(WireError) in Change(try handler(request)) }
        }
    }
}

/// The verbs of both framings. The parser, `HELP` and `Metrics` identify a verb by its index in these lists. A verb
/// that both lists have is at the same index in both.
enum Verbs {
    /// The verbs of lines, in the order of `HELP`.
    static let all: [Verb] = [
        Ping.verb, Hello.verb, Help.verb, Info.verb, Quit.verb,
        Create.verb, Drop.verb, Swap.verb, Collections.verb,
        Put.verb, Get.verb, Del.verb, Scan.verb,
        FSet.verb, FGet.verb,
        Observe.verb, FreqSet.verb, Clock.verb, ClockSet.verb, LogQ.verb, Freq.verb, Popular.verb,
        TopK.verb, Score.verb,
        Sample.verb,
    ]

    /// The verbs of RESP: those of lines, some in their own form, and what clients of Redis send by themselves.
    static let resp: [Verb] =
        all.map { verb in RedisVerbs.own.first { $0.syntax.name == verb.syntax.name } ?? verb } + RedisVerbs.further
}
