import Dispatch
import ItemStore

/// Keeps several batches in flight, as a pipelining client does.
final class WritePipeline {
    private let store: ItemStore
    private let room: DispatchSemaphore
    private let depth: Int

    init(store: ItemStore, depth: Int) {
        self.store = store
        self.depth = depth
        room = DispatchSemaphore(value: depth)
    }

    func run(_ writes: [Write]) throws {
        room.wait()
        try store.submit(
            WriteBatch(writes) { [room] outcomes in
                for case .failed(let error) in outcomes { fatalError("\(error)") }
                room.signal()
            }
        )
    }

    func finish() {
        for _ in 0..<depth { room.wait() }
        for _ in 0..<depth { room.signal() }
    }
}
