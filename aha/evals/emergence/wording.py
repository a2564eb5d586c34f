"""The phrases by which the four behaviours are recognised: all that the detectors know of language.

One table a behaviour, in English, Chinese and the phrases of the embedded world. A pattern looks at
one sentence; case does not matter.
"""

from typing import Literal, get_args

Behaviour = Literal["verification", "backtracking", "sub_goal", "backward_chaining"]
BEHAVIOURS: tuple[Behaviour, ...] = get_args(Behaviour)
MEANING: dict[Behaviour, str] = {
    "verification": "a result that is there already is checked",
    "backtracking": "a way, a guess or a value is given up, and another begins",
    "sub_goal": "the problem is taken apart: a first step, a next step, a plan is named",
    "backward_chaining": "from what is wanted back to what it would take",
}

_WHO = r"(?:i|we|you|let me|let's|let us|i'll|we'll|i'd)"
_WILL = (
    r"(?:\s+(?:will|would|should|must|have to|need to|can|could|want to|just|quickly|also|now))*"
)
_ME = r"\b(?:let me|let's|let us)(?:\s+(?:just|quickly|also|now|first))*"
_FIND = (
    r"(?:find|compute|calculate|determine|figure out|work out|solve|count|list|add|subtract|take"
    r"|multiply|divide|define|parse|sort|get|set up|express|simplify|look at)"
)
_OK = r"(?:right|correct|fine|good|reasonable|plausible|consistent)"
_NEXT = (
    r"^\W*(?:(?:okay|ok|alright|so|well|and),?\s+)?(?:first|next|then|now|finally|second|third),?"
)
_GET = r"(?:get|reach|make|obtain|end (?:up )?with|arrive at|have|hit|produce)"

PATTERNS: dict[Behaviour, tuple[str, ...]] = {
    "verification": (
        r"\b(?:double|triple|cross|sanity)[- ]?check",
        rf"{_ME}\s+(?:re-?)?(?:verify|check|confirm|validate|test|trace)\b",
        rf"\b{_WHO}{_WILL}\s+(?:verify|confirm|validate|make sure)\b",
        r"\bto (?:verify|confirm)\b|\bto (?:make sure|ensure) (?:it|this|that|i"
        r"|we|there)\b(?!.{0,6}get it)|\bto be (?:sure|safe|certain|thorough)\b",
        r"\bre-?(?:check|examine|verify|read|calculate to)\b",
        r"^\W*(?:but )?(?:wait|hmm|hold on),? (?:is|are|does|do|did|could|what if|what about) .*\?",
        r"\bwait,? that(?:'s| is) not -?\d"
        r"|\bsee (?:if|whether) (?:it|this|that) (?:holds|works|fits)\b",
        r"\bwhich (?:also |indeed )?(?:match|agree|check|equal)(?:e?s)?(?: out)?\b"
        r"|\bsame as before\b",
        r"\b(?:this|that|it)\b.{0,20}\b(?:confirms|aligns with|agrees with)\b"
        r"|\bindeed (?:gives?|equals?)\b",
        r"\b(?:are|is) there (?:any|a) (?:other|scenario|chance|possibility|way|case)\b.*\?",
        r"^\W*(?:re-?calculating|re-?computing|re-?checking)\b|\bconfirming that\b",
        r"\b(?:leads?|comes?) to the same (?:result|answer|conclusion)\b|确保[^。]{0,4}没有",
        r"\bdid (?:i|we) (?:mis\w+|make|miss|forget|get)\b",
        r"^\W*(?:(?:wait|now|so|ok|okay),?\s+)?(?:check"
        r"|checking|verify|verifying|verification)\b\s*"
        r"(?:[:,]|that\b|the\b|by\b|this\b|again\b)",
        r"\b(?:plug|plugg|substitut|put)(?:e|ed|ing)?\b.{1,30}\bback\b",
        r"\bis (?:that|this|it) (?:right|correct|true)\s*\?",
        r"\bdoes (?:that|this|it) (?:work|hold|make sense|match|add up|fit)\b",
        r"\b(?:this|that|it|which|both|they|all|everything|roots|values|results?|answers?)\b.{0,20}"
        r"\b(?:match(?:es)? (?:the|my|our|his|her|what)"
        r"|checks? out|adds? up(?! to)|agrees? with|add up(?! to))\b",
        rf"\b(?:that|this|it|everything|all) (?:all )?(?:seems?|looks?|sounds?) (?:to be )?{_OK}\b",
        rf"\b(?:calculations?|approach|answer|result"
        rf"|reasoning|work)\b.{{0,20}}\b(?:is|was|are|were|be"
        rf"|seems?|looks?) (?:indeed )?{_OK}\b|\b(?:calculations?|results?) (?:still )?holds?\b",
        r"\b(?:both|all) (?:methods|approaches|ways)\b"
        r"|\b(?:does|do)(?:n't| not) make sense\b",
        r"\bas (?:required|wanted|expected|desired)\b",
        r"\bwant (?:-?\d+)\s*:",
        r"验证|验算|检验|核对|检查(?=一[下遍]|[：:，,]|结果|答案|是否)|确认一[下遍]",
        r"确保[^。]{0,8}(?:错|正确)|看(?:起来|上去)[^。]{0,4}(?:正确|没问题|合理|没错)",
        r"(?:代入|代回|带回)(?:原|回|检|题|方程|进去)|(?:是否|对不)(?:正确|成立|对)",
        r"符合(?:题意|条件|要求)|应为\s*-?\d+\s*[：:]|再算一遍",
    ),
    "backtracking": (
        r"\b(?:that|this|it|which|approach|way|case|idea)(?:'s| is| was| seems| must be)?"
        r" (?:not right|wrong|incorrect|not correct|a mistake|a dead end|a problem)\b",
        r"\b(?:that|this|it|case|way)(?:'s| is| was) (?:impossible|not possible)(?! to)\b",
        r"\b(?:that|this|it|approach|way|which) (?:does|do|did|will|would|can)(?:n't| not) "
        r"(?:work|help|fit|lead|hold|be right|be correct)\b",
        r"\b(?:that|this|it|which) (?:can't|cannot|won't|couldn't|doesn't|didn't)"
        r" (?:work|(?:be|seem|look|sound) (?:right|correct)|help|fit)\b|\bovercomplicat",
        rf"(?:{_ME}|\bi'll|\bi will|\bi should|\bi could|\bwe could|\bmaybe i should)\s+(?:try|use|"
        r"consider|take|think of)\s+(?:an alternative"
        r"|something else|it again|(?:a different|another) (?:way"
        r"|approach|method|route|idea|strategy|combination|order|pair|value|guess|angle))\b",
        rf"{_ME}\s+(?:redo|recompute|recalculate|reconsider|rethink|restart|start over|go back"
        r"|revise|correct|fix|try again|backtrack)\b",
        r"\b(?:start over|start again|going back to|i go back|backtrack|scratch that|scrap that"
        r"|drop (?:it|that|this)|on second thought|dead end|not getting anywhere|getting messy)\b",
        r"\b(?:i|we)(?:'ve)?(?: have| must have| may have| might have)? "
        r"(?:made a|made an|misread|miscalculated|miscounted|messed up|forgot|factored it wrong)",
        r"^\W*(?:oh|hmm|wait|no|actually)\b[,.]?\s+(?:no\b|that(?:'s| is| was) (?:not|wrong)"
        r"|i (?:was|mis|forgot|made)|it (?:was|is) not|the \w+ (?:was|is)\b.{1,20}\bnot\b)",
        r"^\W*instead,",
        r"^\W*again:|\bwait,? try\b|^\W*but \w+ is (?:taller|shorter) than\b",
        r"行不通|不可行|走不通|没有用|换(?:一|个|种|条|成另)|重新(?:来|算|计算|考虑|开始|想|试|审|分析|列)",
        r"重算|(?:算|弄|搞|写|看|想|做)错了|(?:推理|计算|结果|思路|前面)[^。，没]{0,6}(?:有问题|有误|不对|错了)",
        r"(?:所以|那|这|也)[^，。：]{0,6}不对|等等，?\s*试试|回到(?:开头|前面|起点|上一步)|放弃",
        r"^\W*但是\s*\S+\s*比\s*\S+\s*[高矮]",
    ),
    "sub_goal": (
        rf"^\W*(?:(?:okay|ok|alright|so|well|now),?\s+)?(?:first|firstly|first of all),?\s+"
        rf"(?:{_WHO}\b|{_FIND}\b|-?\d)",
        rf"\b{_WHO}{_WILL}\s+first\s+{_FIND}\b"
        rf"|{_ME}\s+(?:\w+\s+){{0,3}}{_FIND}\b.{{1,40}}\bfirst\b",
        r"^\W*step \d+\b",
        r"\b(?:break|split|divide"
        r"|decompose)s?\b.{1,30}\binto\b.{1,20}\b(?:parts?|steps?|cases|pieces"
        r"|subproblems|sub-problems)\b",
        r"\b(?:my|the|a) plan (?:is|would be)\b|\bsub-?goals?\b|\bsub-?problems?\b",
        rf"^\W*(?:next|after that|finally|second|secondly|third|then|now),?\s+"
        rf"(?:{_WHO}\b{_WILL}\s+(?:need\b|{_FIND}\b)|{_FIND}\b)",
        r"\b(?:start|begin) (?:by|with) (?:\w+ly )?\w+ing\b|\bshould first\b",
        r"\bbreak\w* .{1,30}\bdown\b|\bbreak down\b"
        r"|\b(?:consider|look at|take|go through) (?:each|them one)\b",
        rf"{_NEXT}\s+(?:let's|let me|i'll|i will|we'll|moving on|on to|turning to)(?!.{{0,20}}\b"
        r"(?:check|verify|try|redo|confirm|see)\b)",
        r"(?:^|,)\W*(?:(?:now|so|then),?\s+)?(?:in order )?to \w+\b(?<!get)(?<!reach).{1,60},\s*"
        r"(?:i|we|let's)(?:'ll| will| need| can| must| should)\b(?!.{0,12}(?:check|verify))",
        rf"{_ME}\s+(?:{_FIND}|tackle|start with)\b|^\W*so,? (?:i|we) (?:now )?need to {_FIND}\b",
        r"^\W*首先|^\W*第[一二三四五六七八九十\d]+步|^\W*先(?:求|算|计算|找|看|确定|把|考虑|列)",
        r"^\W*(?:再|然后再?)(?:求|计算|算出|找)|^\W*(?:接下来|下一步|接着)",
        r"分(?:成|为)?[几两二三四五\d](?:步|部分|个步骤|种情况)|分步|子问题|子目标|分解为|拆(?:分|成)",
        r"^\W*最后，?再?(?:求|算|计算)",
    ),
    "backward_chaining": (
        r"\b(?:work|reason|think|go|count|chain)(?:ing)? backwards?\b|\bin reverse\b",
        rf"\b(?:in order )?to {_GET}\b.{{1,40}}?\b(?:{_WHO[3:-1]}"
        rf"|she|he|they|it) (?:must|need|needs"
        r"|would need|'d need|have to|has to|had to|require)",
        r"\bfor (?:the|this|that|it|all)\b.{1,50}\bto (?:be|equal|hold|vanish|work|end)\b"
        r".{0,40}\b(?:must|needs? to|has to|have to)\b",
        r"\bto (?:achieve|get|reach) (?:this|that"
        r"|it),.{1,50}\b(?:must|should|needs? to|has to) be\b",
        r"\b(?:starting|start) from the (?:target|answer|goal|end|result|conclusion)\b",
        r"\bso i must (?:build|make|get|have|find)\b|\bit suffices to\b",
        r"\bwhat (?:would|do) (?:i|we) need (?:to|for)\b",
        r"倒推|反推|逆推|逆向|倒过来|往回推|从(?:结果|结论|目标|答案|后面)(?:出发|开始|往)",
        r"(?:要|想要?|为了)(?:得到|凑出|使|让|达到)[^。]{0,24}(?:需要|必须|就得|则需|就要|应该有)",
        r"(?:所以|因此)(?:要用|需要)[^。]{0,16}(?:凑|得到|构造)",
    ),
}
