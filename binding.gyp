{
  "targets": [
    {
      "target_name": "devfs",
      "sources": [
        "devfs/native/addon.cc",
        "devfs/native/fuse.cc",
        "devfs/native/guard.cc",
        "devfs/native/memory.cc",
        "devfs/native/copy_watch.cc",
        "devfs/native/process.cc",
        "devfs/native/agent.cc",
        "devfs/native/agent_pool.cc",
        "devfs/native/agent_tracee.cc",
        "devfs/native/namespace.cc"
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_DISABLE_DEPRECATED", "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS"],
      "cflags_cc": ["-std=c++17", "-Wall", "-Wextra", "-O2", "-fno-exceptions"],
      "cflags_cc!": ["-fexceptions", "-fno-rtti", "-std=gnu++17"],
      "libraries": ["-lpthread", "-lrt"]
    }
  ]
}
