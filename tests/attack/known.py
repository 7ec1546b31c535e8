"""Where each published escape is tested: by its id, the fixtures of `fixtures/escapes/` or the tests that hold it.

A name without `::` is a fixture; `rule:<id>` means the fixtures of that rule; all else is a test, as pytest spells it.
Ids whose lesson is a class ("missing from a deny-list", "archive tricks") point at the test of the class.
"""

from __future__ import annotations

from typing import Final

_ARCHIVES: Final = ("tests/analyse/test_hostile.py::test_what_cannot_be_read_is_a_finding", "rule:unreadable")
_UNLISTED: Final = "tests/attack/test_escapes.py::test_what_no_policy_lists_is_not_granted"
_EVERY_HOLDER: Final = "tests/integration/test_install.py::test_every_holder_gets_ours_and_gets_its_own_back"
_CONFIG: Final = "tests/cli/test_config_audit.py::test_it_refuses"
_PICKLES: Final = ("torch-load-pickle", "numpy-load-pickle", "from-pretrained-pickle-weights")

KNOWN: Final[dict[str, tuple[str, ...]]] = {
    # RestrictedPython
    "RestrictedPython #142": ("raw-getattr-dunder", "rule:dynamic-attribute"),
    "RestrictedPython PR #282": ("getattr-str-subclass", "setattr-str-subclass"),
    "CVE-2023-37271": ("generator-frame-back", "generator-frame-builtins", "async-generator-frame", "traceback-frame"),
    "CVE-2023-41039": ("exception-obj-format-map", "str-format-unbound", "rule:format-string"),
    "CVE-2024-47532": ("exception-obj-from-format", "exception-name-error-context", "rule:checked-attribute"),
    "CVE-2025-22153": ("except-star-group", "rule:unknown-syntax"),
    "CVE-2026-55830": ("binding-posonly", "binding-nfkc-guard-name", "binding-match-capture", "rule:special-name"),
    "CVE-2026-76825": ("string-formatter-get-field", "string-formatter-subclass"),
    "RestrictedPython 8.5": ("async-generator-frame", "tests/analyse/test_grammar_total.py::test_every_node_class_has_an_entry"),
    "RestrictedPython 9.0 #335": ("map-sorted-key-sink", "map-getattr-raw"),
    "RestrictedPython #330": ("operator-attrgetter", "operator-methodcaller"),
    "CVE-2026-53710": ("patch-json-dumps-setattr", "patch-torch-load", "rule:foreign-write"),
    "open-chat-studio #4238": ("patch-json-dumps-setattr",),
    "open-chat-studio #4563": ("patch-json-dumps-setattr",),
    "RestrictedPython design: reads without an Attribute node": (
        "match-args-pattern", "match-keyword-pattern", "class-keyword-metaclass", "target-augmented", "target-delete",
        "annotation-module-level", "class-getitem-hook", "decorator-exec", "fstring-expression", "import-os-star",
    ),
    # smolagents
    "CVE-2025-5120": ("walk-queue-threading-sys", "walk-random-os", "walk-transformers-logging-os"),
    "CVE-2025-9959": ("class-hierarchy-walk",),
    "CVE-2026-4963": ("hasattr-raw-probe", "target-augmented"),
    "CVE-2025-14931": ("import-pickle",),
    "CVE-2026-2654": ("import-requests", "transformers-load-image-url"),
    "smolagents #2094": ("import-ctypes",),
    "smolagents #2395": (
        "del-finalizer-now", "eq-hash-hooks", "reduce-gadget-at-deepcopy", "getattribute-hook", "set-name-hook",
        "init-subclass-hook",
    ),
    # asteval, simpleeval, others
    "CVE-2025-24359": ("fstring-expression", "format-hook-spec", "str-format-unbound"),
    "GHSA-vp47-9734-prjw": ("tests/test_architecture.py::test_no_value_holds_a_syntax_tree",),
    "CVE-2026-55244": (
        "fallback-chain-swallows-refusals", "tests/guard/test_stand_ins.py::test_what_ends_a_process_cannot_be_raised",
    ),
    "asteval and numpy": ("numpy-loadtxt", "numpy-fromfile", "numpy-memmap", "numpy-load-pickle"),
    "simpleeval #138": ("coroutine-frame", "generator-expression-code"),
    "crewAI #4516": ("builtins-vars-chr",),
    "agent-governance-toolkit PR #2631": ("import-sys-modules",),
    # scanners of pickles: remote code opens none, so their opcodes are not ours to read
    "CVE-2025-71325": _PICKLES,
    "picklescan #13": _PICKLES,
    "picklescan #22": _PICKLES,
    "CVE-2025-71322": ("import-runpy", _UNLISTED),
    "CVE-2025-71357": ("import-pty", _UNLISTED),
    "CVE-2025-71365": ("import-cprofile", _UNLISTED),
    "CVE-2025-71366": (_UNLISTED,),
    "CVE-2025-71367": ("import-imaplib-stream", _UNLISTED),
    "CVE-2025-71378": (_UNLISTED,),
    "CVE-2026-53873": ("import-site", _UNLISTED),
    "CVE-2026-56315": (_UNLISTED,),
    "CVE-2025-67747": (_UNLISTED,),
    "CVE-2025-67748": (_UNLISTED,),
    "CVE-2026-22606": ("import-marshal-types", _UNLISTED),
    "CVE-2026-22607": (_UNLISTED,),
    "CVE-2026-22608": (_UNLISTED,),
    "CVE-2026-22609": (_UNLISTED,),
    "CVE-2026-22612": ("import-pydoc-pipe", _UNLISTED),
    "CVE-2026-14534": (_UNLISTED,),
    "modelscan #338": (_UNLISTED,),
    "CVE-2026-3490": ("import-pkgutil-resolve-name", "import-pydoc-locate", "resolver-pydantic-import-string"),
    "picklescan #66": ("import-pkgutil-resolve-name",),
    # archive tricks: code is read as text from one place, and what cannot be read is a finding
    "CVE-2025-1716": _ARCHIVES,
    "CVE-2025-1889": _ARCHIVES,
    "CVE-2025-1944": _ARCHIVES,
    "CVE-2025-1945": _ARCHIVES,
    "GHSA-w8jq-xcqf-f792": _ARCHIVES,
    "GHSA-7q5r-7gvp-wc82": _ARCHIVES,
    "GHSA-769v-p64c-89pr": _ARCHIVES,
    "nullifAI": _ARCHIVES,
    "CVE-2026-14535": ("tests/analyse/test_rules.py::test_bad_fixture_fires_where_it_says",),
    "CVE-2025-1550": (_CONFIG, "config-module-load-config"),
    "CVE-2025-8747": (_CONFIG, "auto-map-redirected-after-pin"),
    "modelscan #343": (_CONFIG,),
    "modelscan #358": (_CONFIG,),
    "modelscan #368": ("tests/cli/test_audit.py::test_files_that_are_not_loaded_are_named_as_not_examined",),
    # loaders
    "CVE-2026-4372": (_CONFIG, "tests/guard/test_stand_ins.py::test_names_that_load_kernels_are_refused"),
    "CVE-2026-5241": ("nested-from-pretrained", _CONFIG),
    "transformers #27776": _PICKLES,
    "transformers #36511": _PICKLES,
    "CVE-2025-14926": ("builtins-exec", "import-pickle"),
    "CVE-2024-11392": _PICKLES,
    "CVE-2024-11394": _PICKLES,
    "CVE-2025-66448": ("nested-get-class-from-dynamic-module", _EVERY_HOLDER),
    "CVE-2026-22807": ("nested-get-class-in-module", _EVERY_HOLDER),
    "CVE-2026-27893": (_EVERY_HOLDER, "tests/integration/test_auto_classes.py::test_a_refusal_comes_through_and_is_kept"),
    "CVE-2026-41523": ("tests/test_architecture.py::test_no_assert_in_the_package",),
    "CVE-2026-46517": (_EVERY_HOLDER,),
    "CVE-2026-44513": (_EVERY_HOLDER, "tests/integration/test_auto_classes.py::test_a_pipeline_of_the_repository_is_guarded"),
    "diffusers #13691": (_EVERY_HOLDER,),
    "GHSA-4prv-5hj7-c2xr": (_CONFIG,),
    "CVE-2026-68770": ("tests/identity/test_trees.py::test_unpinned_code_is_refused_with_the_command_that_pins_it",),
    "CVE-2025-32444": ("torch-load-pickle", "forking-pickler-loads"),
    "CVE-2025-47277": ("torch-load-pickle", "forking-pickler-loads"),
    "CVE-2025-32434": ("torch-load-pickle", "torch-load-custom-pickle-module", "load-state-dict-not-weights-only"),
    # design vectors that have no id
    "as_strided": ("as-strided-write",),
    "ctypes": ("numpy-ctypes-attribute", "numpy-ctypeslib", "torch-ops-ctypes"),
    "frombuffer": ("torch-frombuffer-bytes", _UNLISTED),
    "__array_interface__": ("array-interface-lie",),
    "torch.load": ("torch-load-pickle",),
    "torch.hub.load": ("torch-hub-load-local", "torch-hub-download"),
    "torch.ops.load_library": (_UNLISTED,),
    "torch.classes": (_UNLISTED,),
    "torch.utils.cpp_extension": ("cpp-extension-load-inline",),
    "torch.compile backends": ("compile-backend-callback", "compile-backend-register-name", "module-compile-backend"),
    "torch.jit._script": ("jit-script-annotations-rcb", "resolver-jit-callback-from-closure"),
    "logging.config.dictConfig": ("import-logging-dictconfig", "resolver-logging-configurator"),
    "warnings.catch_warnings": ("warnings-catch-module",),
    "linecache": ("import-linecache-read", "traceback-source-lines"),
    "typing.get_type_hints": ("typing-get-type-hints", "typing-get-type-hints-computed"),
    "dataclasses": ("dataclass-field-name-repr", "dataclass-annotation-in-class-body", _UNLISTED),
    "collections.namedtuple": ("named-tuple-functional-text",),
    "enum functional API": ("enum-member-map", _UNLISTED),
    "functools.singledispatch": ("singledispatch-annotation",),
    "copyreg": ("patch-copyreg-dispatch",),
    "__reduce__": ("reduce-gadget-native-sink", "object-reduce-ex", "rule:special-method"),
    "importlib entry points": ("import-importlib-metadata-entry-point",),
    "unittest.mock": ("mock-patch-dotted", "mock-patch-object"),
    "timeit": ("import-timeit", "timeit-text-in-deputy"),
    "doctest, pdb, code": ("import-doctest", "import-code", _UNLISTED),
    "transformers.utils re-exports": ("walk-transformers-import-utils-subprocess",),
    "einops": ("walk-einops-importlib",),
    "jinja2": ("jinja-environment-class-walk", "jinja-environment-lipsum"),
    "shadow files": ("tests/cli/test_reach.py::test_a_file_that_would_run_at_import_is_not_run", "import-sibling-module"),
    "BOM and encoding cookies": (
        "coding-cookie-utf-7", "coding-cookie-raw-unicode-escape",
        "tests/identity/test_trees.py::test_no_spelling_of_a_cookie_gets_by",
    ),
    "NFKC identifiers": ("nfkc-builtin-name", "nfkc-attribute-name", "nfkc-keyword-argument", "rule:disguised-name"),
    "form feed and carriage return": ("form-feed-hides-indent", "carriage-return-hides-line", "rule:hidden-characters"),
    "NUL bytes, deep nesting, huge integers": ("tests/property/test_hostile_sizes.py::test_it_is_refused_with_a_reason",),
    "symlinks": ("vocabulary-symlink", "tests/identity/test_trees.py::test_a_link_out_of_the_tree_is_refused_whatever_it_leads_to"),
    "case-colliding names": ("tests/identity/test_trees.py::test_names_that_differ_in_case_only_are_refused",),
    "TOCTOU between hash and exec": (
        "module-replaced-after-pin",
        "tests/integration/test_identity_on_disk.py::test_a_file_that_is_replaced_after_the_check_is_not_read_again",
    ),
    ".pyc in the repository": ("tests/identity/test_trees.py::test_bytecode_in_the_tree_has_no_effect",),
    "module names of two repositories": (
        "tests/integration/test_identity_on_disk.py::test_two_repositories_of_one_name_do_not_meet",
    ),
}  # fmt: skip

#: What scanners' deny-lists forgot (picklescan, fickling, modelscan), and vectors of our own list. None is granted.
UNLISTED: Final = tuple(
    """
    idlelib.pyshell.ModifiedInterpreter idlelib.run.Executive cProfile.run profile.run pty.spawn
    torch.utils.bottleneck.__main__.run_cprofile numpy.f2py.crackfortran.myeval _operator.attrgetter
    operator.attrgetter operator.methodcaller operator.itemgetter uuid._get_command_stdout imaplib.IMAP4_stream
    _pyrepl.pager.pipe_pager _aix_support._read_cmd_output _posixsubprocess.fork_exec site.main atexit.register
    runpy.run_path ctypes.CDLL pydoc.pipepager pydoc.locate marshal.loads types.CodeType pkgutil.resolve_name
    torch.ops.load_library torch.classes.load_library torch.hub.load dataclasses.make_dataclass pdb.run code.interact
    doctest.testmod importlib.resources.files importlib.metadata.entry_points unittest.mock.patch timeit.timeit
    logging.config.dictConfig linecache.getlines copyreg.pickle functools.singledispatch transformers.utils.subprocess
    transformers.utils.importlib transformers.utils.requests jinja2.Environment torch.frombuffer numpy.memmap
    numpy.loadtxt numpy.fromfile numpy.lib.stride_tricks.as_strided torch._dynamo.register_backend
    torch.utils.cpp_extension.load enum.Enum._convert_ string.Formatter pickle.loads pickle.Unpickler requests.get
    subprocess.run os.system os.popen socket.socket urllib.request.urlopen builtins.eval builtins.exec
    """.split()
)

#: Stopped, but not by an error of ours, and why that is enough. The second word is what Python says, if anything.
ORDINARY: Final = {
    "array-interface-by-subclass-of-encoding": (None, "the object says nothing to numpy, which makes an array of its own"),
    "array-interface-by-subclass-of-feature": (None, "the object says nothing to numpy, which makes an array of its own"),
    "attribute-map-renames-class": ("ValueError", "the class is the real one, which transformers finds not to match"),
    "cached-table-of-a-function": (None, "gets a copy of the table"),
    "dataloader-worker-init": (None, "a loader has no workers, and takes nothing that one would run"),
    "getattr-str-subclass": ("TypeError", "a str subclass as a name is a TypeError, as any wrong argument is"),
    "setattr-str-subclass": ("TypeError", "a str subclass as a name is a TypeError, as any wrong argument is"),
    "named-tuple-functional-text": (None, "the text is made inert where it enters; nothing is left to refuse"),
    "patch-activation-registry": ("TypeError", "a read-only view of the registry takes no item"),
    "warnings-catch-module": ("AttributeError", "the replacement of catch_warnings holds no module"),
}
