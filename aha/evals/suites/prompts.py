"""Instructions that suites ask with, and graders expect. All zero-shot."""

# arXiv 2501.12948v2, D.1.
MATH = "Please reason step by step, and put your final answer within \\boxed{}."

# The same in Chinese, for questions in Chinese.
MATH_ZH = "请一步一步推理，并把最终答案放在 \\boxed{} 中。"

# The paper takes the multiple-choice prompt of simple-evals; this says the same.
CHOICE = (
    "Answer the following multiple choice question. Think step by step before answering. The last "
    "line of your response should be of the form 'Answer: $LETTER' (without quotes), where LETTER "
    "is the letter of one option.\n\n{question}"
)
CHOICE_ZH = "请一步一步思考，最后一行写“答案：$LETTER”，其中 LETTER 是所选选项的字母。"

# For tasks whose answer is a word, a list of words or an option in brackets (BBH).
SHORT = (
    "Think step by step before answering. The last line of your response should be of the form "
    "'Answer: $ANSWER' (without quotes)."
)

# LiveCodeBench's prompt asks for the same things.
STDIN = (
    "Write a program that solves the problem. It reads from standard input and writes to standard "
    "output. Put the whole program into one fenced code block that names its language, such as "
    "```python."
)
PYTHON = (
    "Write Python code that solves the problem. Put the whole code, imports included, into one "
    "```python block."
)

COUNTDOWN = (
    "Think step by step. The last line of your response should be 'Answer: ' and the expression "
    "alone; each number is used exactly once."
)
KNIGHTS = (
    "Think step by step. The last lines of your response should be 'Answer:' and one line for each "
    "person, such as '(1) Zoey is a knight'."
)
SUDOKU = (
    "Think step by step. The last line of your response should be 'Answer: ' and the digits of the "
    "full grid, row by row."
)
