// ItemStoreTests
