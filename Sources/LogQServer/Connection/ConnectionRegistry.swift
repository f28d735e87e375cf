import NIOConcurrencyHelpers
import NIOCore

/// The open connections. It bounds their number, and the server finds all of them here when it stops. It is used only
/// when a connection opens or closes, never for a request.
final class ConnectionRegistry: Sendable {
    private struct Contents {
        var channels: [ObjectIdentifier: any Channel] = [:]
        /// The channels beyond the bound, which get only an error. They do not count toward the bound.
        var refused: Set<ObjectIdentifier> = []
        var isDraining = false
    }

    private let contents = NIOLockedValueBox(Contents())
    private let connectionsMax: Int
    private let refusedMax: Int

    init(connectionsMax: Int, refusedMax: Int) {
        self.connectionsMax = connectionsMax
        self.refusedMax = refusedMax
    }

    enum Admission {
        case admitted
        /// Gets an error, and is then closed.
        case full
        /// Is closed at once, because too many others are being refused.
        case overfull
        case draining
    }

    /// Adds a new connection. It adds a `full` one too, because the server must close it like the others.
    func add(_ channel: any Channel) -> Admission {
        contents.withLockedValue { contents in
            guard !contents.isDraining else { return .draining }
            let isFull = contents.channels.count - contents.refused.count >= connectionsMax
            if isFull, contents.refused.count >= refusedMax { return .overfull }
            contents.channels[ObjectIdentifier(channel)] = channel
            if isFull { contents.refused.insert(ObjectIdentifier(channel)) }
            return isFull ? .full : .admitted
        }
    }

    func remove(_ channel: any Channel) {
        contents.withLockedValue { contents in
            contents.channels[ObjectIdentifier(channel)] = nil
            contents.refused.remove(ObjectIdentifier(channel))
        }
    }

    var count: Int { contents.withLockedValue { $0.channels.count } }

    /// Admits no more connections, and returns the open ones.
    func drain() -> [any Channel] {
        contents.withLockedValue { contents in
            contents.isDraining = true
            return Array(contents.channels.values)
        }
    }
}
