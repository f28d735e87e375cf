import ArgumentParser
import LogQClient

/// The command line: one subcommand a verb of the protocol, and `load` and `demo`.
struct LogQCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logq",
        abstract: "Talk to a logqd: embeddings, features and sampling frequencies for two-tower retrieval.",
        discussion: """
            Each subcommand is a verb of the protocol and one request. Output is in aligned columns; with --json it is \
            one JSON value.

            The daemon is found at --unix, --host and --port, else at LOGQ_ADDRESS (host:port, or the path of a \
            Unix-domain socket), else at 127.0.0.1:5647.

            An argument that begins with '-' goes behind '--': logq get items -- -dash. Vectors are written \
            [0.1,-2] (quote them) or f32: and base64.

            Exit codes:
            \(ExitStatus.table)
            """,
        groupedSubcommands: [
            CommandGroup(
                name: "Items",
                subcommands: [
                    PutCommand.self, GetCommand.self, DeleteCommand.self, ScanCommand.self, SetFeaturesCommand.self,
                    FeaturesCommand.self,
                ]
            ),
            CommandGroup(
                name: "Frequencies",
                subcommands: [
                    ObserveCommand.self, SetFrequenciesCommand.self, LogFrequencyCommand.self, FrequenciesCommand.self,
                ]
            ),
            CommandGroup(name: "Search", subcommands: [TopKCommand.self, ScoreCommand.self, SampleCommand.self]),
            CommandGroup(
                name: "Collections",
                subcommands: [CreateCommand.self, DropCommand.self, SwapCommand.self, CollectionsCommand.self]
            ),
            CommandGroup(
                name: "Server",
                subcommands: [PingCommand.self, HelloCommand.self, InfoCommand.self, HelpVerbCommand.self]
            ),
            CommandGroup(name: "More", subcommands: [LoadCommand.self, DemoCommand.self]),
        ]
    )

    // Here too, so that they may stand before the subcommand.
    @OptionGroup(title: "Connection and output") var global: GlobalOptions
}

/// A command that connects, asks and prints.
protocol ClientCommand: AsyncParsableCommand {
    var global: GlobalOptions { get }
    func report(_ client: LogQClient) async throws -> Report
}

extension ClientCommand {
    func run() async throws {
        let client = try await global.connect()
        let report = try await report(client)
        report.print(asJSON: global.json)
        await client.close()
    }
}
