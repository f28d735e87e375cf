import ArgumentParser
import LogQClient
import WireProtocol

/// The command line: one subcommand for each verb of the protocol except `QUIT`, plus `load` and `demo`.
struct LogQCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logq",
        abstract: "Talk to a logqd: embeddings, features and sampling frequencies for two-tower retrieval.",
        discussion: """
            Most subcommands send one request with a verb of the protocol. Output is in aligned columns; with --json \
            it is one JSON value.

            The address of the daemon is --url, --unix, or --host and --port; otherwise LOGQ_ADDRESS (host:port, a \
            URL, or the path of a Unix-domain socket); otherwise 127.0.0.1:5647.

            To complete subcommands and options in bash, zsh or fish: logq --generate-completion-script bash.

            Write an argument that begins with '-' after '--': logq get items -- -dash. Write a vector as [0.1,-2] \
            (quote it) or as f32: and base64.

            Exit codes:
            \(ExitStatus.table)
            """,
        version: releaseVersion,
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
                    PopularCommand.self, ClockCommand.self, SetClockCommand.self,
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

    // Declared here too, so that these options can precede the subcommand.
    @OptionGroup(title: "Connection and output") var global: GlobalOptions
}

/// A subcommand that connects, sends requests and prints the replies.
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
