import ArgumentParser
import Foundation
import LogQClient
import PackedStrings
import WireProtocol

/// The options that every subcommand takes: the daemon's address, and the output format.
struct GlobalOptions: ParsableArguments {
    @Option(help: "The daemon's URL: logq://host:port or logq+unix:///path.")
    var url: String?

    @Option(help: "The daemon's host, or host:port (default: 127.0.0.1).")
    var host: String?

    @Option(help: "The daemon's port (default: 5647).")
    var port: Int?

    @Option(help: ArgumentHelp("The daemon's Unix-domain socket.", valueName: "path"))
    var unix: String?

    @Flag(help: "Print one JSON value instead of columns.")
    var json = false

    @Flag(help: "Ids in arguments are percent-encoded (%20), for ids that cannot be typed.")
    var percent = false

    mutating func validate() throws {
        if url != nil, unix != nil || host != nil || port != nil {
            throw ValidationError("got --url and --unix, --host or --port, expected one of them")
        }
        if unix != nil, host != nil || port != nil {
            throw ValidationError("got --unix and --host or --port, expected one of them")
        }
        if let port, !(1...65_535).contains(port) {
            throw ValidationError("got port \(port), expected 1 to 65535")
        }
    }

    func address(environment: [String: String]) throws -> LogQAddress {
        if let url { return try GlobalOptions.address(url: url) }
        if let unix { return .unixSocket(path: unix) }
        var address = LogQAddress.tcp(host: "127.0.0.1", port: Limits.portDefault)
        if let text = environment["LOGQ_ADDRESS"], !text.isEmpty {
            if text.contains("://") {
                address = try GlobalOptions.address(url: text)
            } else if let parsed = LogQAddress(text) {
                address = parsed
            } else {
                throw Failure(.usage, "got LOGQ_ADDRESS=\(text), expected host:port, a URL or the path of a socket")
            }
        }
        guard host != nil || port != nil else { return address }
        // --host and --port replace their part of a TCP address, or the whole path of a socket.
        var (knownHost, knownPort) = ("127.0.0.1", Limits.portDefault)
        if case .tcp(let host, let port) = address { (knownHost, knownPort) = (host, port) }
        if let host {
            guard case .tcp(let name, let number) = LogQAddress(host, portDefault: knownPort) else {
                throw Failure(.usage, "got --host \(host), expected a host or host:port; --unix takes a path")
            }
            (knownHost, knownPort) = (name, number)
        }
        return .tcp(host: knownHost, port: port ?? knownPort)
    }

    private static func address(url: String) throws -> LogQAddress {
        do throws(LogQError) {
            return try LogQAddress(url: url)
        } catch {
            throw Failure(.usage, error.message)
        }
    }

    func connect() async throws -> LogQClient {
        try await LogQClient.connect(to: address(environment: ProcessInfo.processInfo.environment))
    }

    /// Ids from the command line.
    func ids(_ texts: [String]) throws -> [ItemID] {
        try texts.map { text in
            percent ? try GlobalOptions.decode(text) : ItemID(text)
        }
    }
}

extension GlobalOptions {
    /// The id that `text` spells in the form of the wire protocol.
    private static func decode(_ text: String) throws -> ItemID {
        var ids = PackedStrings()
        let problem = Array(text.utf8).withUnsafeBytes { word -> WireError? in
            do throws(WireError) {
                try IDText.decode(word, into: &ids)
                return nil
            } catch {
                return error
            }
        }
        if let problem { throw Failure(.usage, problem.message) }
        return ItemID(Array(ids[0]))
    }
}

extension LogQAddress {
    /// Accepts `host:port`, `host`, `[::1]:port`, `unix:path`, or a path that contains a slash.
    init?(_ text: String, portDefault: Int = Limits.portDefault) {
        if text.hasPrefix("unix:") {
            self = .unixSocket(path: String(text.dropFirst(5)))
            return
        }
        if text.contains("/") {
            self = .unixSocket(path: text)
            return
        }
        var host = text[...]
        var port = portDefault
        // An unbracketed address with several colons is IPv6 without a port.
        if let colon = text.lastIndex(of: ":"),
            text.hasPrefix("[") ? text[..<colon].hasSuffix("]") : !text[..<colon].contains(":")
        {
            guard let number = Int(text[text.index(after: colon)...]), (1...65_535).contains(number) else { return nil }
            host = text[..<colon]
            port = number
        }
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty else { return nil }
        self = .tcp(host: String(host), port: port)
    }
}

/// A vector on the command line: `[0.1,2]`, `0.1,2`, or `f32:` and base64.
struct VectorArgument: ExpressibleByArgument, Equatable {
    let values: [Float]

    init?(argument: String) {
        guard let vector = try? VectorArgument(argument) else { return nil }
        self = vector
    }

    /// Like the other initializer, but throws an error that says what is wrong.
    @Sendable
    init(_ argument: String) throws {
        guard var word = Array(argument.utf8).withUnsafeBytes({ VectorSpacing.removed(from: $0) }) else {
            throw ValidationError("got two numbers without ',' between them")
        }
        if !word.starts(with: "f32:".utf8), word.first != UInt8(ascii: "[") { word = [0x5B] + word + [0x5D] }
        do {
            values = try word.withUnsafeBytes { try VectorText.read($0) }
        } catch let error as WireError {
            throw ValidationError(error.message)
        }
    }
}

/// A step on the command line: a number, or `-` for one more than the last.
struct StepArgument: ExpressibleByArgument, Equatable {
    let step: Int64?

    init?(argument: String) {
        if argument == "-" {
            step = nil
        } else if let number = Int64(argument), number >= 0 {
            step = number
        } else {
            return nil
        }
    }
}

/// A metric of the client as a command-line argument.
struct MetricArgument: ExpressibleByArgument {
    let metric: Metric

    init(_ metric: Metric) {
        self.metric = metric
    }

    init?(argument: String) {
        guard let metric = Metric(rawValue: argument) else { return nil }
        self.metric = metric
    }

    static var allValueStrings: [String] { Metric.allCases.map(\.rawValue) }
    var defaultValueDescription: String { metric.rawValue }
}
