import Logging
import NIOCore
import NIOPosix
import SystemSupport

extension Server {
    /// Listens on each address of a host, all with the same port. An address that this machine does not have is left
    /// out if the host has another: `localhost` on a machine without IPv6.
    func bind(
        _ listen: ListenAddress,
        _ addresses: [SocketAddress],
        _ bootstrap: ServerBootstrap
    ) async throws -> [any Channel] {
        var listeners: [any Channel] = []
        var port = listen.port
        var missing: [String] = []
        do {
            for var address in addresses {
                address.port = port
                guard let listener = try await bind(address, listen, bootstrap) else {
                    missing.append(address.text)
                    continue
                }
                listeners.append(listener)
                port = listener.localAddress?.port ?? port
            }
            guard !listeners.isEmpty else {
                throw ListenFailure(address: listen.text, reason: "this machine does not have the address")
            }
        } catch {
            for listener in listeners { try? await listener.close() }
            throw error
        }
        if !missing.isEmpty {
            logger.notice(
                "not listening on addresses that this machine does not have",
                metadata: [
                    "addresses": "\(missing.joined(separator: " "))"
                ]
            )
        }
        return listeners
    }

    /// Returns nil if this machine does not have the address.
    private func bind(
        _ address: SocketAddress,
        _ listen: ListenAddress,
        _ bootstrap: ServerBootstrap
    ) async throws -> (any Channel)? {
        do {
            return try await bootstrap.bind(to: address).get()
        } catch let error as IOError {
            switch error.errnoCode {
            case EADDRNOTAVAIL, EAFNOSUPPORT: return nil
            case EADDRINUSE: throw SocketInUse(address: listen.text)
            default: throw ListenFailure(address: listen.text, reason: String(cString: strerror(error.errnoCode)))
            }
        } catch {
            throw ListenFailure(address: listen.text, reason: "\(error)")
        }
    }

    /// Listens on a Unix socket. Replaces the socket file of a dead daemon. Throws `SocketInUse` if a process answers.
    func bind(
        _ socket: UnixSocket,
        _ bootstrap: ServerBootstrap,
        _ group: MultiThreadedEventLoopGroup
    ) async throws -> any Channel {
        let path = socket.path
        try socket.check()
        if let other = try? await ClientBootstrap(group: group).connect(unixDomainSocketPath: path).get() {
            try? await other.close()
            throw SocketInUse(address: path)
        }
        do {
            let listener = try await socket.withPermissions {
                try await bootstrap.bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
            }
            listener.closeFuture.whenComplete { _ in _ = unlink(path) }
            return listener
        } catch let error as ListenFailure {
            throw error
        } catch {
            let reason = (error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(error)"
            throw ListenFailure(address: path, reason: reason)
        }
    }
}
