// A store in dictionaries, which records the trainer's requests.

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
        var hard: [(except: [[Int32]], answers: [[Int32]])] = []
    }

    let state = Mutex(State())

    /// The frequency from the last gap alone, which is enough for a test.
    func observe(_ batch: [Int32], step: Int64, drawing: UniformDraw) async throws -> Observation {
        state.withLock { state in
            state.steps.append(step)
            let before = state.lastStep
            for dependency in batch {
                state.counts[dependency, default: 0] += 1
                state.lastStep[dependency] = step
            }
            let items = state.vectors.keys.sorted()
            var random = SeededRandom(seed: drawing.seed)
            let drawn = (0..<drawing.count).map { _ in
                DrawnItem(
                    dependency: items.randomElement(using: &random)!,
                    probability: 1 / Double(items.count),
                    logQ: -5
                )
            }
            return Observation(batch: batch.map { -log(Double(step - (before[$0] ?? 0))) }, drawn: drawn)
        }
    }

    func hardNegatives(for questions: [HardQuestion], ranks: ClosedRange<Int>, count: Int) async throws -> [[Int32]] {
        var answers: [[Int32]] = []
        for question in questions {
            let found = try await nearest(to: question.query, k: ranks.upperBound, except: question.except)
            var random = SeededRandom(seed: question.seed)
            answers.append(Array(found.dropFirst(ranks.lowerBound - 1).shuffled(using: &random).prefix(count)))
        }
        state.withLock { $0.hard.append((questions.map(\.except), answers)) }
        return answers
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
