"""Published bytes of other people's meters, clients and books: (what, source, hex).

Green Book: DLMS UA 1000-2, ed. 8, as quoted by the test suites of u9n/dlms-cosem,
Gurux/gurux.dlms.java and chandangeek/Connexo_Code. HAN ports: captures in toreamun/amshan.
"""

from __future__ import annotations

# Each decodes, and encodes to the same bytes again.
APDUS = (
    (
        "AARQ, no security",
        "Green Book 11.2, u9n/dlms-cosem test_aarq",
        "601da109060760857405080101be10040e01000000065f1f0400007e1f04b0",
    ),
    (
        "AARQ, low level security",
        "Green Book 11.2, u9n/dlms-cosem test_aarq",
        "6036a1090607608574050801018a0207808b0760857405080201ac0a80083132333435363738"
        "be10040e01000000065f1f0400007e1f04b0",
    ),
    (
        "AARQ, HLS 5, CtoS K56iVagY",
        "Green Book 11.2, u9n/dlms-cosem test_aarq",
        "6036a1090607608574050801018a0207808b0760857405080205ac0a80084b35366956616759"
        "be10040e01000000065f1f0400007e1f04b0",
    ),
    (
        "AARQ, HLS 2",
        "u9n/dlms-cosem test_aarq",
        "6036a1090607608574050801018a0207808b0760857405080202ac0a80083132333435363738"
        "be10040e01000000065f1f0400007e1fffff",
    ),
    (
        "AARQ, low level security, ciphered",
        "Green Book 11.2, u9n/dlms-cosem test_aarq",
        "6066a109060760857405080103a60a04084d4d4d0000bc614e8a0207808b0760857405080201"
        "ac0a80083132333435363738be34043221303001234567801302ff8a7874133d414ced25b42534d28db0047720"
        "606b175bd52211be6841db204d39ee6fdb8e356855",
    ),
    (
        "AARE, accepted",
        "Green Book 11.2, u9n/dlms-cosem test_aare",
        "6129a109060760857405080101a203020100a305a103020100be10040e0800065f1f040000501f01f40007",
    ),
    (
        "AARE, application-context-name-not-supported",
        "Green Book 11.2, u9n/dlms-cosem test_aare",
        "6129a109060760857405080101a203020101a305a103020102be10040e0800065f1f040000501f01f40007",
    ),
    (
        "AARE, dlms-version-too-low",
        "Green Book 11.2, u9n/dlms-cosem test_aare",
        "611fa109060760857405080101a203020101a305a103020101be0604040e010601",
    ),
    (
        "AARE, HLS 5, StoC P6wRJ21F",
        "Green Book 11.2, u9n/dlms-cosem test_aare",
        "6142a109060760857405080101a203020100a305a10302010e88020780890760857405080205"
        "aa0a8008503677524a323146be10040e0800065f1f040000501f01f40007",
    ),
    (
        "AARE of a meter",
        "u9n/dlms-cosem test_aare",
        "6129a109060760857405080101a203020100a305a103020100be10040e0800065f1f0400001e1d04c80007",
    ),
    ("GET, normal", "u9n/dlms-cosem test_get", "c001c1000100002b0100ff0200"),
    ("GET, next", "u9n/dlms-cosem test_get", "c002c100000001"),
    (
        "GET, with list",
        "u9n/dlms-cosem test_get",
        "c003c102000100002a0000ff020000080000010000ff0200",
    ),
    ("GET response, normal", "u9n/dlms-cosem test_get", "c401c1000600001391"),
    ("GET response, hardware-fault", "u9n/dlms-cosem test_get", "c401c10101"),
    (
        "DataNotification without date",
        "u9n/dlms-cosem test_data_notification",
        "0f000001db000922125a8591360000000049000000110000000a5a8513d014800000000d0000000a0100",
    ),
    (
        "ACCESS request: two GETs and two SETs",
        "Green Book table 133, Gurux/gurux.dlms.java GXSymmetricTest",
        "d94000000000040100010000600100ff020100080000010000ff0202001400000d0000ff07020014"
        "00000d0000ff0804000001040203090100090cffffffffffffff00000000000901ff020309010109"
        "0cffffffffffffff00000000000901ff0203090102090cffffffffffffff00000000000901ff0203"
        "090103090cffffffffffffff00000000000901ff0104020809010011ff11ff11ff11ff11ff11ff11"
        "ff02080901011102110111011101110111011101020809010211ff11ff11ff11ff11ff11ff11ff02"
        "080901031101110211021102110211021102",
    ),
)

# A special days table (stepagrus.ru, a lesson on DLMS): its Data, 11 days of 2018.
SPECIAL_DAYS = (
    "010b0203120001090507e20101ff11020203120002090507e20102ff11020203120003090507e20103ff1102"
    "0203120004090507e20114ff11010203120005090507e2020aff11010203120006090507e20217ff1102"
    "0203120007090507e20308ff11020203120008090507e20309ff11020203120009090507e20501ff1102"
    "020312000a090507e20502ff1102020312000b090507e20509ff1102"
)

# GET response with list of a meter that errs: the second answer has no choice (u9n/dlms-cosem
# issue 51)
BROKEN_LIST = "c403c102000002051202d0120ca81118111f0fc0"

# An association of a meter that knows its dedicated key only after HLS (gurux.fi, comment 16477):
# AARQ, AARE with its title behind its challenge, reply_to_HLS under the dedicated key, refusal.
EARLY_DEDICATED_KEY = (
    "7ea07c036110aa6be6e600606ea109060760857405080103a60a040841424344454647488a0207808b0760857405"
    "080202ac1280104e261d0e1d1e416a0563742355463e4cbe3404322130300000000055b274213543bfc62b203160"
    "a9b5c12d973bdff27e02acf1115e58f8aea77ac24cd823837370d6f00d153e6f867e",
    "7ea077610330ad6ce6e7006169a109060760857405080103a203020100a305a10302010e8802078089076085740508"
    "0202aa12801047656e75733700000000091d3648c37ea40a0408474f450000581cf1be230421281f3000000488a9fa"
    "e44b5740db41f578b7cc15b4be1b5852f6401cfbc06afb87b2007e",
    "7ea03e0361327b46e6e600d33030000000033db18a0ae9b1d9f484e052ed9086cd91a8195cc14158901b1204dc6bcb"
    "b4f2fbe907c7cb835c41f5bd3c8db5017e",
    "7ea0106103527ce2e6e7000e060006dd487e",
)

# Mode E as a meter and a probe speak it (gurux.fi, node 14050): "/?!" with its parity, and the
# answer without.
MODE_E_REQUEST = "af3f218d0a"
MODE_E_IDENTIFICATION = "/HLY5\\2xxxxxx"

# A profile with null-data for what does not change (u9n/dlms-cosem test_parsers): its Data.
PROFILE = (
    "01040204090c07e30c1f0217000000ffc400110606000005ed060000065402040011060600"
    "0005ed0600000654020400110606000005ed0600000654020400110606000005ed0600000654"
)

# Frames with their flags: (what, source, hex, destination, source address, kind, information size)
FRAMES = (
    (
        "SNRM to logical device 1, physical 17",
        "u9n/dlms-cosem test_hdlc",
        "7ea00802232193bd647e",
        (1, 17),
        (16, -1),
        "SNRM",
        0,
    ),
    (
        "UA with parameters",
        "u9n/dlms-cosem test_hdlc",
        "7ea01f21022373e6c781801205019a06019a070400000001080400000001cca27e",
        (16, -1),
        (1, 17),
        "UA",
        21,
    ),
    (
        "AARQ",
        "u9n/dlms-cosem test_hdlc",
        "7ea02c02232110af9fe6e600601da109060760857405080101be10040e01000000065f1f0400001e1dffff"
        "c5e47e",
        (1, 17),
        (16, -1),
        "I",
        34,
    ),
    (
        "AARE",
        "u9n/dlms-cosem test_hdlc",
        "7ea0382102233034e7e6e7006129a109060760857405080101a203020100a305a103020100be10040e"
        "0800065f1f0400001e1d04c80007b86a7e",
        (16, -1),
        (1, 17),
        "I",
        46,
    ),
    (
        "SNRM with a window of 7 and the largest information fields",
        "a public test program that adjusts meters' clocks",
        "7ea02102214193a585818014050207ee060207ee0704000000070804000000074ee97e",
        (1, 16),
        (32, -1),
        "SNRM",
        23,
    ),
    (
        "GET of the clock",
        "as above",
        "7ea01a022141763ba6e6e600c001c100080000010000ff0200601a7e",
        (1, 16),
        (32, -1),
        "I",
        16,
    ),
    (
        "ACTION adjust of the clock",
        "as above",
        "7ea01d02214176e796e6e600c301c100080000010000ff060110fc7c3ce97e",
        (1, 16),
        (32, -1),
        "I",
        19,
    ),
    (
        "GET to all physical devices, address of four bytes",
        "a public Android application for prepayment meters",
        "7ea01c0002feff0354e9cde6e600c001c100080000010000ff0200601a7e",
        (1, 0x3FFF),
        (1, -1),
        "I",
        16,
    ),
    (
        "SNRM to logical device 1 alone",
        "gurux.fi, node 14050",
        "7ea0070321930f017e",
        (1, -1),
        (16, -1),
        "SNRM",
        0,
    ),
    (
        "GET of an association's name",
        "gurux.fi, node 20546",
        "7ea0190341b23239e6e600c001c1000f0000280000ff0100f9797e",
        (1, -1),
        (32, -1),
        "I",
        16,
    ),
    (
        "a push of an Aidon meter",
        "toreamun/amshan test_hdlc",
        "7ea02a410883130413e6e7000f40000000000101020309060100010700ff060000067d02020f00161b1c057e",
        (32, -1),
        (4, 65),
        "UI",
        32,
    ),
    (
        "a push of a Kaifa meter, a flag in its content",
        "toreamun/amshan test_hdlc",
        "7ea027010201105a87e6e7000f40000000090c07e4020f06011922ff8000000201060000157eea5e7e",
        (0, -1),
        (1, 0),
        "I",
        29,
    ),
    (
        "a push of a Kamstrup meter, Sweden",
        "public parsers for HAN ports, built on dlms-cosem",
        "7ea0e22b2113239ae6e7000f000000000c07e6011801123a32ff80000002190a0e4b616d73747275705f56"
        "3030303109060101000005ff0a103537303635363733323635393034303709060101600101ff0a12363834"
        "31313338424e32343531303130393009060101010700ff060000033a09060101020700ff06000000000906"
        "0101030700ff060000006809060101040700ff06000000b0090601011f0700ff06000000ed090601013307"
        "00ff060000005909060101470700ff060000004b09060101200700ff1200e809060101340700ff1200e909"
        "060101480700ff1200ec84467e",
        (21, -1),
        (16, -1),
        "UI",
        217,
    ),
)
# Pushes: (what, source, DataNotification, its date as text or "", its Data as natives)
PUSHES = (
    (
        "Aidon, list 1",
        "toreamun/amshan test_aidon",
        "0f40000000000101020309060100010700ff060000011802020f00161b",
        "",
        [["1.0.1.7.0.255", 280, [0, 27]]],
    ),
    (
        "Aidon, list 2",
        "toreamun/amshan test_aidon",
        "0f4000000000010c020209060101000281ff0a0b4149444f4e5f5630303031"
        "020209060000600100ff0a1037333539393932383932353837363635"
        "020209060000600107ff0a0436353235020309060100010700ff060000011802020f00161b"
        "020309060100020700ff060000000002020f00161b020309060100030700ff060000000002020f00161d"
        "020309060100040700ff060000008002020f00161d0203090601001f0700ff10000d02020fff1621"
        "020309060100470700ff10000902020fff1621020309060100200700ff1208e202020fff1623"
        "020309060100340700ff1208fd02020fff1623020309060100480700ff12090402020fff1623",
        "",
        [
            ["1.1.0.2.129.255", "AIDON_V0001"],
            ["0.0.96.1.0.255", "7359992892587665"],
            ["0.0.96.1.7.255", "6525"],
            ["1.0.1.7.0.255", 280, [0, 27]],
            ["1.0.2.7.0.255", 0, [0, 27]],
            ["1.0.3.7.0.255", 0, [0, 29]],
            ["1.0.4.7.0.255", 128, [0, 29]],
            ["1.0.31.7.0.255", 13, [-1, 33]],
            ["1.0.71.7.0.255", 9, [-1, 33]],
            ["1.0.32.7.0.255", 2274, [-1, 35]],
            ["1.0.52.7.0.255", 2301, [-1, 35]],
            ["1.0.72.7.0.255", 2308, [-1, 35]],
        ],
    ),
    (
        "Kaifa, list 1",
        "toreamun/amshan test_kaifa",
        "0f40000000090c07e3020401173416ff800000020106000016dc",
        "2019-02-04 1 23:52:22",
        [5852],
    ),
    (
        "Kaifa, list 3",
        "toreamun/amshan test_kaifa",
        "0f40000000090c07e40119060e000aff800000021209074b464d5f303031"
        "09103639373036333134303236313434373609084d413330344833450600001328060000000006000000000600"
        "00017906000038eb0600003d1b060000253506000008910600000000060000089d"
        "090c07e40119060e000aff8000000604be76e8060000000006000d922d060030feb4",
        "2020-01-25 6 14:00:10",
        [
            "KFM_001",
            "6970631402614476",
            "MA304H3E",
            4904,
            0,
            0,
            377,
            14571,
            15643,
            9525,
            2193,
            0,
            2205,
            "2020-01-25 6 14:00:10",
            79591144,
            0,
            889389,
            3210932,
        ],
    ),
    (
        "Kamstrup, single phase",
        "toreamun/amshan test_kamstrup",
        "0f000000000c07e1081003100005ff800000020f0a0e4b616d73747275705f5630303031"
        "09060101000005ff0a103537303635363730303030303030303009060101600101ff"
        "0a1230303030303030303030303030303030303009060101010700ff0600000000"
        "090601011f0700ff060000000009060101200700ff12000009060001010000ff"
        "090c07e1081003100005ff80000009060101010800ff0600000000",
        "2017-08-16 3 16:00:05",
        [
            "Kamstrup_V0001",
            "1.1.0.0.5.255",
            "5706567000000000",
            "1.1.96.1.1.255",
            "000000000000000000",
            "1.1.1.7.0.255",
            0,
            "1.1.31.7.0.255",
            0,
            "1.1.32.7.0.255",
            0,
            "0.1.1.0.0.255",
            "2017-08-16 3 16:00:05",
            "1.1.1.8.0.255",
            0,
        ],
    ),
)

# The customer interface of Austrian meters, in two wired M-Bus frames, and its key: example of
# Netz Niederoesterreich, "Smart Meter Kundenschnittstelle", with its plain text. Encrypted only.
NOE_KEY = "36c66639e48a8ca4d6bc8b282a793bbb"
NOE_FRAMES = (
    "68fafa6853ff000167db084b464d675000000981f8200000002388d5ab4f97515aafc6b88d2f85daa7a0e3c0c40d"
    "004535c397c9d037ab7dbda329107615444894a1a0dd7e85f02d496cecd3ff46af5fb3c9229cfe8f3ee4606ab2e1"
    "f409f36aad2e50900a4396fc6c2e083f373233a69616950758bfc7d63a9e9b6e99e21b2cbc2b934772ca51fd4d69"
    "830711cab1f8cff25f0a329337cba51904f0caed88d61968743c8454ba922eb00038182c22fe316d16f2a9f544d6"
    "f75d51a4e92a1c4ef8ab19a2b7feaa32d0726c0ed80229ae6c0f7621a4209251ace2b2bc66ff0327a653bb686c75"
    "6be033c7a281f1d2a7e1fa31c3983e15f8fd16cc5787e6f51716",
    "6814146853ff110167419a3cfda44be438c96f0e38bf83d98316",
)
NOE_PLAIN = (
    "0f8006870e0c07e5091b01092f0f00ff88800223090c07e5091b01092f0f00ff888009060100010800ff06000032"
    "8902020f00161e09060100020800ff060000000002020f00161e09060100010700ff060000000002020f00161b09"
    "060100020700ff060000000002020f00161b09060100200700ff12092102020fff162309060100340700ff120000"
    "02020fff162309060100480700ff12000002020fff1623090601001f0700ff12000002020ffe162109060100330700"
    "ff12000002020ffe162109060100470700ff12000002020ffe1621090601000d0700ff1203e802020ffd16ff090c"
    "313831323230303030303039"
)

# general-ciphering of the ACCESS request above, key agreed by one-pass Diffie-Hellman (Green Book
# table 41 and C.2; keys: Connexo_Code KeyAgreementImplTest, plain text and session key:
# gurux.dlms.java GXSymmetricTest)
ONE_PASS_APDU = (
    "dd080102030405060708084d4d4d0000bc614e084d4d4d00000000010000010201018180c323c2bd45711de46886"
    "37d919f92e9db8fb2dfc213a88d21c9dc8dcba917d8170511de1badb360d50058f794b0960ae11fa28d392cff907"
    "a62d13e3357b1dc0b51be089d0b682863b2217201e73a1a9031968a9b4121dcbc3281a69739af87429f5b3ac5471"
    "e7b6a04a2c0f2f8a25fd772a317df97fc5463feac248eb8ab8be81eb3100000000f435069679270c5bf4425ee577"
    "7402a6c8d51c620eed52dbb188378b836e2857d5c053e6ddf27fa87409aef502cd9618ae47017c010224fd109cc0"
    "beb21e742d44ab40cd11908743ec90ec8c40e221d517f72228e1a26e827f43dc18ed27b5f458d66508b05a2a4cc6"
    "fed178c881afc3bc67064689be8bb41c80abb3c114a31f4cb03b8b64c7e0b4ce77b2399c93347858888f92239713"
    "b38df01c4858245827a92ef334172ea636b31cbbdf2a96ad5d035f66aa38f1a2d97d4bba99622e6b5f18789cecb2"
    "dfb3937d9f3e17f8b472098e6563238f37528374809836002aea6e7012d2adfaa7"
)
ONE_PASS_PRIVATE = "aad3fd0732e991cf52a74c66c1f2827ddc53522a2e0a169d7c4ffcc0fb5d6a4d"  # recipient
ONE_PASS_EPHEMERAL = "47dab03842e5b6e74828ef4f449b378d7dd1a5dae1ffca5ae0b0be0ad18ec57e"
ONE_PASS_SECRET = "0d4385ba0dd756cbcab9887eb538396ee8f090a14c1079b4359f115b977f4615"
ONE_PASS_KEY = "59a71fd81c929a86a99438da17a66c05"
CLIENT_SIGNING = (
    "baaffde06a8cb1c9dae8d94023c601dbbb249254ba22edd827e820bca2bcc64362fbb83d86a82b87bb8b7161d2aa"
    "b5521911a946b97a284a90f7785cd9047d25"
)
