// A store in dictionaries, to watch what a trainer asks of one.

import Foundation
import Synchronization

@testable import DependencyDemo

func exponential(_ x: Double) -> Double { exp(x) }
func logarithm(_ x: Double) -> Double { log(x) }

final class LocalStore: EmbeddingStore {
    struct State {
        var vectors: [Int32: [Float]] = [:]
        var putCount = 0
        var counts: [Int32: Double] = [:]
        var lastStep: [Int32: Int64] = [:]
        var steps: [Int64] = []
    }

    let state = Mutex(State())

    /// p from the last gap alone: enough for a test.
    func observe(_ batch: [Int32], step: Int64) async throws -> [Double] {
        state.withLock { state in
            state.steps.append(step)
            let before = state.lastStep
            for dependency in batch {
                state.counts[dependency, default: 0] += 1
                state.lastStep[dependency] = step
            }
            return batch.map { -log(Double(step - (before[$0] ?? 0))) }
        }
    }

    func put(_ embeddings: [Embedding]) async throws {
        state.withLock { state in
            state.putCount += embeddings.count
            for embedding in embeddings { state.vectors[embedding.dependency] = embedding.vector }
        }
    }

    func nearest(to query: [Float], k: Int, except: [Int32]) async throws -> [Int32] {
        let vectors = state.withLock { $0.vectors }
        func score(_ vector: [Float]) -> Float { zip(query, vector).reduce(0) { $0 + $1.0 * $1.1 } }
        let scored = vectors.filter { !except.contains($0.key) }.map { ($0.key, score($0.value)) }
        return scored.sorted { $0.1 != $1.1 ? $0.1 > $1.1 : $0.0 < $1.0 }.prefix(k).map(\.0)
    }

    func counts(of dependencies: [Int32]) async throws -> [Double] {
        state.withLock { state in dependencies.map { state.counts[$0] ?? 0 } }
    }
}
